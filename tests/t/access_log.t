#!/usr/bin/perl

# nginx's access log as conf/nginx.conf has it: each line is JSON, whatever a
# client sends, with the request id that the client and s3d's log have. No log
# has what lets its reader send a request again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;
use Test::S3;

open my $conf, '<', "$FindBin::Bin/../../conf/nginx.conf" or die "nginx.conf: $!";
my ($format) = do { local $/; <$conf> } =~ /^(map .*?^log_format s3 .*?;\n)/ms
    or die 'no log_format';
my $t = Test::S3->new(http => $format);
my $dir = $t->dir();
$t->{server} = "access_log $dir/s3.log s3;
    location /other/ { proxy_pass http://127.0.0.1:1; }
    location /denied/ { deny all; error_page 403 /other/of-errors; }";
my $elsewhere = Test::S3::free_port();
$t->{http} .= "server { listen 127.0.0.1:$elsewhere; access_log off; location / { deny all; } }";
$t->run();

my $lines = 0;

# The line of the request that has just ended; strictly UTF-8 and JSON.
sub line {
    my @all;
    $lines++;
    $t->wait_for("line $lines", sub {
        @all = split /\n/, $t->read_file('s3.log');
        return @all == $lines;
    });
    return JSON::PP->new->utf8->decode($all[-1]);
}

# --- what it says ---------------------------------------------------------------
$t->put('/bkt');
line();
my $r = $t->put('/bkt/a%22key%FF', body => 'x', headers => [ [ 'User-Agent' => 'me' ] ]);
my $line = line();
is($line->{error}, $r->{code}, 'a key that is not UTF-8');
is($line->{uri}, '/bkt/a%22key%FF', 'stands as it was sent');
$r = $t->put('/bkt/key', body => 'x', headers => [ [ 'User-Agent' => 'me' ] ]);
my $id = $r->{headers}{'x-amz-request-id'};
$line = line();
like(delete $line->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+\d\d:\d\d$/, 'when');
like(delete $line->{seconds}, qr/^\d+(?:\.\d+)?$/, 'how long');
is_deeply($line, { request => $id, client => '127.0.0.1',
    accessKey => $t->{access_key}, operation => 'PutObject', bucket => 'bkt',
    method => 'PUT', uri => '/bkt/key', status => 200, error => '', bytes => 0,
    agent => 'me' }, 'a line');
my ($own) = grep { ($_->{request} // '') eq $id }
    map { decode_json($_) } split /\n/, $t->read_file('s3d.log');
is("$own->{operation} $own->{key}", 'PutObject key', 's3d has the same id');

# --- of what is signed in its query ---------------------------------------------
for (
    [ '/bkt/k%41y?x=1', 'GET', 'X-Amz-Signature' ],
    [ '/bkt/key', 'PUT', 'x-amz-signature' ],
    [ '/bkt/key', 'GET', 'X-Amz-Security-Token' ],
    [ '/bkt/key', 'GET', 'X-Amz-%53ignature' ],
) {
    my ($target, $method, $name) = @$_;
    my $link = $t->presign($method, $target) =~ s/X-Amz-Signature/$name/r;
    my ($signature) = $link =~ /=([0-9a-f]{64})$/ or die 'no signature';
    $t->request($method, $link, sign => 0);
    is(line()->{uri}, $target =~ s/\?.*//r, "$method, $name: the path");
    unlike($t->read_file('s3.log'), qr/$signature/, 'and no signature');
}
$t->get('/bkt?%70refix=a');
is(line()->{uri}, '/bkt', 'nor is any name that is encoded');
for my $target ('/bkt?prefix=X-Amz-Date', '/bkt?prefix=%58&max-keys=1%30') {
    $t->get($target);
    is(line()->{uri}, $target, 'other queries are there');
}

my $token = 'eyJhbGciOiJub25lIn0.e30.c2ln';
$t->post("/?Action=AssumeRoleWithWebIdentity&webIdentityToken=$token", sign => 0);
is(line()->{uri}, '/', 'nor is a token');
unlike($t->read_file('s3.log'), qr/$token/, 'of OpenID Connect');

# --- what clients send ------------------------------------------------------------
for (
    [ 'GET /bkt/"\\x HTTP/1.1', 'curl "quoted" \\', '/bkt/"\\x', 'curl "quoted" \\' ],
    [ "GET /bkt/\xff\xfe HTTP/1.1", "\xc3\x28", '', '' ],
    [ "GET /bkt/k?\x7f HTTP/1.1", "tab\there\x01", undef, undef ],
    [ 'GET /%00%ff%0a/x HTTP/1.1', "\xe2\x82", '', '' ],
    [ "GET /b\xe9\xe9\xe9/x HTTP/1.1", '', '', '' ],
) {
    my ($request, $agent, $uri, $logged) = @$_;
    my $s = $t->connect();
    print $s "$request\r\nHost: x\r\nUser-Agent: $agent\r\nConnection: close\r\n",
        "Authorization: AWS4-HMAC-SHA256 Credential=\xff\"/20260101/us-east-1/s3/",
        "aws4_request, SignedHeaders=host, Signature=0\r\n\r\n";
    my $answer = do { local $/; <$s> };
    close $s; # nginx waits for it before it logs
    my $name = $request =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ger;
    ($id) = $answer =~ /x-amz-request-id: (\w+)/i;
    $line = line();
    is($line->{request}, $id // '', $name);
    is($line->{uri}, $uri, 'its URI') if defined $uri;
    is($line->{agent}, $logged, 'its agent') if defined $logged;
}

# --- nginx's error log: no query, whoever writes the line -------------------------
# The line of error.log about a path; its request line ends where the query began.
sub error_of {
    my ($path) = @_;
    my @found;
    $t->wait_for($path, sub {
        @found = grep { index($_, "\"GET $path") >= 0 } split /\n/, $t->read_file('error.log');
        return @found;
    });
    return join "\n", @found;
}

my @secret = ([ Referer => 'http://s3.test/bkt/page?X-Amz-Signature=0123456789abcdef' ]);
sub link_to { return $t->presign('GET', "$_[0]?X-Amz-Security-Token=0123456789abcdef") }

$t->get(link_to('/denied/1'), sign => 0, headers => \@secret);
like(error_of('/denied/1'), qr{forbidden\ by\ rule,\ client:\ 127.0.0.1,\ server:\ ,\ request:
    \ "GET\ /denied/1",\ host:\ "[\d.:]+",\ referrer:\ "http://s3.test/bkt/page"$}mx, 'of access');
like(error_of('/denied/1'), qr{"GET /denied/1", upstream: "http://127.0.0.1:1/other/of-errors", },
    'and of another location that answers');
$t->get(link_to('/other/1'), sign => 0);
like(error_of('/other/1'), qr{, upstream: "http://127.0.0.1:1/other/1", host}, 'of an upstream');
$t->get('/denied/2');
like(error_of('/denied/2'), qr{"GET /denied/2 HTTP/1.1", host}, 'without a query: the line');
$t->stop('s3d');
is($t->get(link_to('/bkt/key'), sign => 0)->{status}, 503, 's3d is away');
like(error_of('/bkt/key'), qr{"GET /bkt/key", upstream: "[^"]*s3d.sock:", host}, 'of s3d');
unlike($t->read_file('error.log'), qr/X-Amz-|0123456789abcdef/, 'no secret is in the log');
{
    my $other = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$elsewhere")
        or die "connect: $!";
    print $other "GET /else?query HTTP/1.0\r\n\r\n";
    $t->read_response($other);
}
like(error_of('/else'), qr{"GET /else\?query HTTP/1.0"}, 'a server without S3: as ever');
$t->start_s3d();

$t->done();
