#!/usr/bin/perl

# Server access logs: set, written, delivered as objects.

use strict;
use warnings;

use Digest::MD5 qw(md5_base64);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new(s3d => 'logging_interval = "1s";')->run();
my $r;

$t->put("/$_") for qw(source logs);

sub set {
    my ($inner) = @_;
    my $answer = $t->put('/source?logging', body =>
        "<BucketLoggingStatus>$inner</BucketLoggingStatus>");
    return join ' ', grep { defined } $answer->{status}, $answer->{code};
}

sub enabled {
    my ($bucket, $more) = @_;
    return "<LoggingEnabled><TargetBucket>$bucket</TargetBucket>"
        . '<TargetPrefix>log-</TargetPrefix>' . ($more // '') . '</LoggingEnabled>';
}

sub logs {
    my ($keys) = $t->get('/logs')->{body};
    return $keys =~ m{<Key>(.*?)</Key>}g;
}

# All lines of all logs, once some line fits.
sub lines_with {
    my ($pattern) = @_;
    my @lines;
    $t->wait_for("a line with $pattern", sub {
        @lines = map { split /(?<=\n)/, $t->get("/logs/$_")->{body} } logs();
        return grep { /$pattern/ } @lines;
    });
    return @lines;
}

# --- the setting ------------------------------------------------------------------

is(set(enabled('nosuch')), '400 InvalidTargetBucketForLogging', 'no such target');
is(set(enabled('logs', '<TargetGrants><Grant/></TargetGrants>')),
    '400 MalformedACLError', 'a grant to nobody');
is(set('<LoggingEnabled/>'), '400 MalformedXML', 'nowhere');
unlike($t->get('/source?logging')->{body}, qr{LoggingEnabled}, 'nothing is set');
is(set(enabled('logs')), 200, 'set');
like($t->get('/source?logging')->{body},
    qr{<LoggingEnabled><TargetBucket>logs</TargetBucket><TargetPrefix>log-</TargetPrefix></LoggingEnabled>},
    'as it was set');

# --- lines ------------------------------------------------------------------------

my $hex = '[0-9a-f]{64}';
my $time = '\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\]';
$t->put('/source/a%20key', body => 'hello world',
    headers => [ [ 'User-Agent' => 'test "agent"' ] ]);
$r = $t->get('/source/a%20key', headers => [ [ Range => 'bytes=0-4' ],
        [ Referer => 'http://example.com/' ] ]);
is($r->{status}, 206, 'a range');
my $id = $r->{headers}{'x-amz-request-id'};
is($t->get('/source/nosuch')->{status}, 404, 'an error');
my $url = $t->presign('GET', '/source/a%20key?response-content-type=a%2Fb');
is($t->get($url, sign => 0)->{status}, 200, 'pre-signed');
is($t->get('/source', sign => 0)->{status}, 403, 'anonymous');
my $big = 'x' x 3_000_000;
$t->put('/source/big', body => $big);
is(length $t->get('/source/big')->{body}, length $big, 'from the files');
is($t->get('/source/a%20key', secret_key => 'wrong')->{status}, 403, 'refused');
is($t->put('/source/copied', headers => [ [ 'x-amz-copy-source' => '/source/big' ] ])
    ->{status}, 200, 'a copy');
is($t->put('/source/copied', headers => [ [ 'x-amz-copy-source' => '/source/none' ] ])
    ->{status}, 404, 'of nothing');
my $delete = '<Delete><Object><Key>copied</Key></Object><Object><Key>a key</Key>'
    . '<VersionId>nobody</VersionId></Object></Delete>';
is($t->request('POST', '/source?delete', body => $delete,
        headers => [ [ 'Content-MD5' => md5_base64($delete) . '==' ] ])->{status},
    200, 'deletes of many');
is($t->request('PATCH', '/source/a%20key')->{status}, 405, 'no such method');

# Who is nobody needs an access control list; the key of a form is in its body.
is($t->put('/source?ownershipControls', body => '<OwnershipControls><Rule>'
    . '<ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>')
    ->{status}, 200, 'lists count');
is($t->delete('/source?publicAccessBlock')->{status}, 204, 'nothing is blocked');
is($t->put('/source?acl', headers => [ [ 'x-amz-acl' => 'public-read-write' ] ])
    ->{status}, 200, 'a list');
is($t->get("/source$_->[0]")->{status}, $_->[1], "GET $_->[0]")
    for [ '?acl', 200 ], [ '/big?acl', 200 ], [ '?metrics', 200 ];
is($t->put("/source?$_")->{status}, 400, "PUT $_: no document")
    for qw(policy publicAccessBlock);
my $form = join "\r\n", '--b', 'Content-Disposition: form-data; name="key"', '',
    'by a form', '--b', 'Content-Disposition: form-data; name="file"; filename="f"', '',
    'text', '--b--', '';
is($t->post('/source', sign => 0, body => $form,
    headers => [ [ 'Content-Type' => 'multipart/form-data; boundary=b' ] ])
    ->{status}, 204, 'a form');
is($t->head('/source/last')->{status}, 404, 'the last one');

my @lines = lines_with('last');
ok(!(grep { !/^$hex source $time 127\.0\.0\.1 (?:$hex|-) \w+ (?:REST|BATCH)\.[A-Z]+\.\w+ \S+ "[^"]*" \d{3} \S+ (?:\d+|-) (?:\d+|-) \d+ \d+ "[^"]*" "[^"]*" \S+ \S+ \S+ \S+ \S+ \S+ \S+ - (?:-|Yes) us-east-1\n$/ } @lines),
    'every line has its fields');
my $host = quotemeta $t->host();
my ($line) = grep { / $id / } @lines;
like($line, qr{ \Q$id\E REST\.GET\.OBJECT a%20key "GET /source/a%20key HTTP/1\.1" 206 - 5 11 \d+ \d+ "http://example\.com/" "-" - \S+ SigV4 - AuthHeader $host - - - us-east-1$},
    'a GET');
like(join('', @lines), qr{REST\.PUT\.OBJECT a%20key "PUT /source/a%20key HTTP/1\.1" 200 - - 11 \d+ \d+ "-" "test %22agent%22" },
    'a PUT');
like(join('', @lines), qr{REST\.GET\.OBJECT nosuch "[^"]*" 404 NoSuchKey \d+ - },
    'an error');
like(join('', @lines), qr{ - \w+ REST\.GET\.BUCKET - "GET /source HTTP/1\.1" 403 AccessDenied \d+ - .* - - - $host},
    'nobody');
like(join('', @lines), qr{REST\.GET\.OBJECT big "[^"]*" 200 - 3000000 3000000 },
    'bytes from files count');
like(join('', @lines), qr{REST\.HEAD\.OBJECT last "[^"]*" 404 NoSuchKey - - },
    'HEAD has no bytes');
like(join('', @lines), qr{ - \w+ REST\.GET\.OBJECT a%20key "[^"]*" 403 SignatureDoesNotMatch \d+ - },
    'what the worker refused');
like(join('', @lines), qr{REST\.PATCH\.OBJECT a%20key "[^"]*" 405 MethodNotAllowed \d+ - },
    'a method that is none');
like(join('', @lines), qr{ - \w+ REST\.POST\.OBJECT by%20a%20form "POST /source HTTP/1\.1" 204 - - .* $host - - Yes us-east-1\n},
    'a form, by a list');
my $uri = '"PUT /source/copied HTTP/1\.1"';
like(join('', @lines), qr{REST\.COPY\.OBJECT copied $uri 200 - \d+ - }, 'a copy, written');
like(join('', @lines), qr{REST\.COPY\.OBJECT_GET big $uri 200 - - - }, 'a copy, read');
like(join('', @lines), qr{REST\.COPY\.OBJECT_GET none $uri 404 NoSuchKey - - },
    'a copy of nothing, read');
$uri = '"POST /source\?delete HTTP/1\.1"';
like(join('', @lines), qr{REST\.POST\.MULTI_OBJECT_DELETE - $uri 200 - \d+ - },
    'deletes of many');
like(join('', @lines), qr{ REST\.\Q$_\E }, "named: $_") for 'PUT.ACL -',
    'GET.ACL -', 'GET.ACL big', 'GET.METRICS -', 'PUT.BUCKETPOLICY -',
    'PUT.PUBLIC_ACCESS_BLOCK -';
like(join('', @lines), qr{BATCH\.DELETE\.OBJECT copied $uri 204 - - - }, 'one of them');
like(join('', @lines), qr{BATCH\.DELETE\.OBJECT a%20key $uri 404 NoSuchVersion - - .* nobody \S+ SigV4},
    'one that failed');
my ($presigned) = grep { /QueryString/ } @lines;
like($presigned, qr{"GET /source/a%20key\?response-content-type=a%2Fb HTTP/1\.1" 200 },
    'pre-signed');
my ($signature) = $url =~ /X-Amz-Signature=(\w+)/;
unlike(join('', @lines), qr/$signature|$t->{secret_key}|Credential/, 'no secrets');
like($_, qr/^log-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9A-F]{16}$/, 'name of a log')
    for logs();
$r = $t->head('/logs/' . (logs())[0]);
is($r->{headers}{'content-type'}, 'text/plain', 'its type');

# --- partitions, and the end --------------------------------------------------------

is(set(enabled('logs', '<TargetObjectKeyFormat><PartitionedPrefix>'
        . '<PartitionDateSource>DeliveryTime</PartitionDateSource>'
        . '</PartitionedPrefix></TargetObjectKeyFormat>')), 200, 'partitioned');
$t->get('/source/at-the-end');
$t->stop('s3d');
$t->start_s3d();
@lines = lines_with('at-the-end');
is(scalar(grep { /REST\.GET\.OBJECT at-the-end / } @lines), 1,
    's3d stores at its end what it has');
ok((grep { m{^log-$hex/us-east-1/source/\d{4}/\d\d/\d\d/\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9A-F]{16}$} } logs()),
    'by date');
is(set(''), 200, 'no more');
unlike($t->get('/source?logging')->{body}, qr{LoggingEnabled}, 'nothing is set');

$t->done();
