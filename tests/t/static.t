#!/usr/bin/perl

# s3_static beside nginx's own root over the same tree: statuses, headers,
# bytes, conditions, ranges.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use File::Path qw(make_path);
use FindBin;
use IO::Socket::INET;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my ($bucket_port, $root_port, $tls_port) = map { Test::S3::free_port() } 1 .. 3;
my $types = 'types { text/html html; text/css css; image/png png; }
    default_type application/x-default;';
my $t = Test::S3->new();
my $dir = $t->dir();
my $certificate = $t->self_signed();
$t->{http} = <<"EOF";
    server {
        listen 127.0.0.1:$bucket_port;
        listen 127.0.0.1:$tls_port ssl http2;
        $certificate
        $types
        absolute_redirect off;
        s3_static s3d site/v1;
        location /none/ { max_ranges 0; }
        location /before/ { if_modified_since before; s3_static s3d site/v1; }
        location /off/ { if_modified_since off; s3_static s3d site/v1; }
        location /two/ { max_ranges 2; s3_static s3d site/v1; }
    }
    server {
        listen 127.0.0.1:$root_port;
        $types
        absolute_redirect off;
        root $dir/tree;
        location /none/ { max_ranges 0; }
    }
EOF
$t->run();

my $big = join '', map { pack 'N', $_ } 0 .. 300_000;    # 1,200,004 bytes
my $size = length $big;
my %files = (
    'index.html' => '<p>home</p>',
    'style.css' => 'b {}',
    'docs/index.html' => '<p>docs</p>',
    'docs/a b&c.html' => 'odd',
    'big.png' => $big,
    'empty.html' => '',
    'noext' => 'no extension',
    'none/big.png' => $big,
    'UPPER.HTML' => 'upper',
);

$t->put('/site');
make_path("$dir/tree/docs", "$dir/tree/none");
for my $name (sort keys %files) {
    $t->write_file("tree/$name", $files{$name});
    my $r = $t->put('/site/v1/' . Test::S3::uri_escape($name, '/'),
        body => $files{$name});
    is($r->{status}, 200, "$name stored");
}

sub fetch {
    my ($port, $method, $target, @headers) = @_;
    my $socket = IO::Socket::INET->new("127.0.0.1:$port") or die "connect: $!";
    return $t->request($method, $target, sign => 0, socket => $socket,
        host => 'site.test', headers => \@headers);
}

sub bucket { return fetch($bucket_port, @_) }

# What a browser sees, without what differs by nature: dates, tags, boundaries.
sub seen {
    my ($r) = @_;
    my %headers = %{ $r->{headers} };
    my $body = $r->{body};
    delete $headers{connection};    # not of HTTP/2
    $headers{$_} = 1 for grep { exists $headers{$_} } qw(date last-modified);
    $headers{etag} = $headers{etag} =~ /^"[^"]+"$/ ? 'strong' : 'other'
        if exists $headers{etag};
    if (($headers{'content-type'} // '') =~ /^multipart.*boundary=(.*)$/) {
        my $boundary = $1;
        $headers{'content-type'} =~ s/\Q$boundary\E/B/;
        $body =~ s/--\Q$boundary\E/--B/g;
        $headers{'content-length'} -=
            length($boundary) * (() = $body =~ /\r\n--B/g);
    }
    return join("\n", $r->{status},
        (map { "$_: $headers{$_}" } sort keys %headers), length $body,
        md5_hex($body));
}

my @asked;

sub same {
    my ($what, @request) = @_;
    my ($s3, $root) = map { seen(fetch($_, @request)) } $bucket_port, $root_port;
    is($s3, $root, "as root: $what");
    push @asked, [ $what, $s3, @request ];
}

# --- objects and directories ------------------------------------------------

same($_, 'GET', $_) for '/', '/index.html', '/style.css', '/big.png',
    '/empty.html', '/noext', '/docs/', '/docs', '/docs?x=1&y=%20',
    '/docs/a%20b%26c.html', '/docs/../style.css', '/UPPER.HTML', '/absent',
    '/absent/', '/docs/absent.html', '/%00', '//docs//', '/index.html?x=1',
    '/docs/a+b', '/style.css/';
same("HEAD $_", 'HEAD', $_) for '/', '/big.png', '/absent', '/docs', '/empty.html';
same("$_ is refused", $_, '/index.html') for qw(POST PUT DELETE OPTIONS);

my $r = bucket('GET', '/');
is("$r->{status} $r->{body}", '200 <p>home</p>', 'the index');
is($r->{headers}{'content-type'}, 'text/html', 'its type by its name');
is($r->{headers}{etag}, '"' . md5_hex($r->{body}) . '"', 'its tag is the bytes\'');
ok(!(grep { /^x-amz/ } keys %{ $r->{headers} }), 'no header of S3\'s');
$r = bucket('GET', '/docs');
is("$r->{status} $r->{headers}{location}", '301 /docs/', 'a directory');
$r = bucket('GET', '/absent');
is($r->{status}, 404, 'what is not there');
like($r->{body}, qr{<center><h1>404 Not Found</h1></center>}, 'has nginx\'s page');
unlike($r->{body}, qr/<Error>/, 'and not S3\'s');

# --- ranges -----------------------------------------------------------------

my $last = $size - 1;
same("Range: $_", 'GET', '/big.png', [ Range => $_ ]) for
    'bytes=0-0', 'bytes=0-', "bytes=-1", "bytes=$last-", "bytes=$size-",
    'bytes=65535-65536', 'bytes=262143-262144', 'bytes=100000-900000',
    'bytes=0-99999999', 'bytes=5-2', 'bytes=a-b', 'bytes=', 'items=0-1',
    'bytes=-0', 'bytes=-99999999', 'bytes= 1 - 2 ', 'bytes=1-2-3',
    'bytes=99999999999999999999-', 'Bytes=1-2',
    # several
    'bytes=0-0,2-3', 'bytes=0-9, -10', 'bytes=0-300000,400000-900000',
    'bytes=10-20,5-6,900000-', "bytes=1-2,$size-", "bytes=$size-,-0",
    "bytes=0-$last,0-1", 'bytes=1-2,x', 'bytes=1-2,', 'bytes=,1-2',
    'bytes=0-0,0-0,0-0', 'bytes=262140-262150,0-10,1048570-1048580';
same("HEAD, Range: $_", 'HEAD', '/big.png', [ Range => $_ ]) for
    'bytes=1-2', "bytes=$size-";
same('a range of nothing', 'GET', '/empty.html', [ Range => $_ ]) for
    'bytes=0-', 'bytes=0-0', 'bytes=5-', 'bytes=-5';
same('max_ranges 0', 'GET', '/none/big.png', [ Range => 'bytes=1-2' ]);

$r = bucket('GET', '/big.png', [ Range => 'bytes=1-2,300000-299999,600000-899999' ]);
my ($boundary) = $r->{headers}{'content-type'} =~ /boundary=(\S+)$/;
is("$r->{status} $r->{body}", "206 \r\n--$boundary\r\n"
    . "Content-Type: image/png\r\nContent-Range: bytes 1-2/$size\r\n\r\n"
    . substr($big, 1, 2) . "\r\n--$boundary\r\n"
    . "Content-Type: image/png\r\nContent-Range: bytes 600000-899999/$size\r\n\r\n"
    . substr($big, 600000, 300000) . "\r\n--$boundary--\r\n", 'two ranges, to the byte');
is(bucket('HEAD', '/big.png', [ Range => 'bytes=1-2,300000-299999,600000-899999' ])
    ->{headers}{'content-length'}, length $r->{body}, 'HEAD of them');
$r = bucket('GET', '/two/big.png', [ Range => 'bytes=0-0,2-2,4-4' ]);
is("$r->{status} $r->{headers}{'content-length'}", "200 $size",
    'more ranges than max_ranges');
$r = bucket('GET', '/big.png',
    [ Range => 'bytes=' . join(',', map { 2 * $_ . '-' . 2 * $_ } 0 .. 64) ]);
is($r->{status}, 200, '65 ranges are too many');

# --- conditions -------------------------------------------------------------

my ($etag, $modified) = @{ bucket('HEAD', '/style.css')->{headers} }
    {qw(etag last-modified)};
my $old = 'Sat, 29 Oct 1994 19:43:31 GMT';
my $future = 'Fri, 01 Jan 2100 00:00:00 GMT';

sub conditions {
    my ($what, $status, @headers) = @_;
    my @of_root = map { [ @$_ ] } @headers;
    my $root = fetch($root_port, 'HEAD', '/style.css')->{headers};
    for (@of_root) {
        $_->[1] =~ s/\Q$etag\E/$root->{etag}/;
        $_->[1] =~ s/\Q$modified\E/$root->{'last-modified'}/;
    }
    my $ours = bucket('GET', '/style.css', @headers);
    is($ours->{status}, $status, $what);
    is(seen($ours), seen(fetch($root_port, 'GET', '/style.css', @of_root)),
        "as root: $what");
    push @asked, [ $what, seen($ours), 'GET', '/style.css', @headers ];
}

conditions('If-None-Match fits', 304, [ 'If-None-Match' => $etag ]);
conditions('weakly', 304, [ 'If-None-Match' => "W/$etag" ]);
conditions('among others', 304, [ 'If-None-Match' => qq("a", W/"b", $etag) ]);
conditions('any', 304, [ 'If-None-Match' => '*' ]);
conditions('If-None-Match does not', 200, [ 'If-None-Match' => '"x"' ]);
conditions('If-Match fits', 200, [ 'If-Match' => $etag ]);
conditions('any', 200, [ 'If-Match' => '*' ]);
conditions('If-Match is strong', 412, [ 'If-Match' => "W/$etag" ]);
conditions('If-Match does not', 412, [ 'If-Match' => '"x"' ]);
conditions('not modified', 304, [ 'If-Modified-Since' => $modified ]);
conditions('modified', 200, [ 'If-Modified-Since' => $old ]);
conditions('unmodified', 200, [ 'If-Unmodified-Since' => $future ]);
conditions('was modified', 412, [ 'If-Unmodified-Since' => $old ]);
conditions('If-Range fits', 206, [ Range => 'bytes=0-1' ], [ 'If-Range' => $etag ]);
conditions('If-Range by date', 206, [ Range => 'bytes=0-1' ],
    [ 'If-Range' => $modified ]);
conditions('If-Range does not', 200, [ Range => 'bytes=0-1' ],
    [ 'If-Range' => '"x"' ]);
conditions('If-Range is strong', 200, [ Range => 'bytes=0-1' ],
    [ 'If-Range' => "W/$etag" ]);
conditions('304 before a range', 304, [ Range => 'bytes=0-1' ],
    [ 'If-None-Match' => $etag ]);
# RFC 9110 where nginx's default is older: a tag silences the date.
is(bucket('GET', '/style.css', [ 'If-None-Match' => $etag ],
    [ 'If-Modified-Since' => $old ])->{status}, 304, 'the tag silences the date');
conditions('if_modified_since exact', 200, [ 'If-Modified-Since' => $future ]);
is(bucket('GET', "/$_->[0]/style.css", [ 'If-Modified-Since' => $_->[1] ])->{status},
    $_->[2], "if_modified_since $_->[0], $_->[1]")
    for [ 'before', $future, 304 ], [ 'before', $old, 200 ], [ 'off', $modified, 200 ];

# --- all of it over HTTP/2 and TLS --------------------------------------------

my @answers = $t->over_h2($tls_port, map {
    my ($what, $seen, $method, $target, @headers) = @$_;
    [ $method, 'site.test', $target, @headers ];
} @asked);
cmp_ok(scalar(@asked), '>', 80, 'the same requests');
is(seen($answers[$_]), $asked[$_][1], "HTTP/2: $asked[$_][0]") for 0 .. $#asked;

# --- what the object says ---------------------------------------------------

sub stored {
    my ($name, @headers) = @_;
    is($t->put("/site/v1/$name", body => 'x', headers => \@headers)->{status}, 200,
        "$name stored");
    return bucket('GET', "/$name")->{headers};
}

is(stored('t.css', [ 'Content-Type' => 'text/plain; charset=utf-8' ])
    ->{'content-type'}, 'text/plain; charset=utf-8', 'its own type');
is(stored('t.css', [ 'Content-Type' => 'application/octet-stream' ])
    ->{'content-type'}, 'text/css', 'octets have the name\'s type');
is(stored('t.bin', [ 'Content-Type' => 'application/octet-stream' ])
    ->{'content-type'}, 'application/octet-stream', 'unless it has none');
is(stored('t.bin')->{'content-type'}, 'application/x-default', 'default_type');
my $h = stored('c.css', [ 'Cache-Control' => 'max-age=60' ],
    [ 'Content-Encoding' => 'gzip' ], [ 'Content-Disposition' => 'attachment' ],
    [ 'Content-Language' => 'de' ], [ Expires => $future ],
    [ 'x-amz-meta-surrogate-key' => 'a b' ], [ 'x-amz-meta-other' => 'o' ],
    [ 'x-amz-meta-surrogate-control' => 'max-age=9, stale-while-revalidate=5' ],
    [ 'x-amz-meta-cache-tag' => 'a,b' ], [ 'x-amz-meta-cdn-cache-control' => 'no-store' ]);
is(join('|', map { $h->{$_} // '-' } qw(cache-control content-encoding
    content-disposition content-language expires surrogate-key other
    surrogate-control cache-tag cdn-cache-control)),
    "max-age=60|gzip|attachment|de|$future|a b|-"
    . '|max-age=9, stale-while-revalidate=5|a,b|no-store', 'its headers');
$r = bucket('GET', '/c.css', [ 'If-None-Match' => $h->{etag} ]);
is("$r->{status} $r->{headers}{'cache-control'}", '304 max-age=60',
    'Cache-Control with 304');

# --- whose authority ----------------------------------------------------------

$r = $t->get('/site/v1/index.html', sign => 0);
is($r->{status}, 403, 'the bucket is closed to the anonymous');
$r = $t->put('/site?versioning', body => '<VersioningConfiguration>'
    . '<Status>Enabled</Status></VersioningConfiguration>');
is($r->{status}, 200, 'versions from here');
is($t->delete('/site/v1/style.css')->{status}, 204, 'a delete marker');
is(bucket('GET', '/style.css')->{status}, 404, 'is not there');
is($t->put('/site/v1/sealed.html', body => 'sealed',
    headers => [ [ 'x-amz-server-side-encryption' => 'AES256' ] ])->{status}, 200,
    'sealed with SSE-S3');
is(bucket('GET', '/sealed.html')->{body}, 'sealed', 'is served');

$t->stop('s3d');
$r = bucket('GET', '/');
is($r->{status}, 502, 'without s3d');
like($r->{body}, qr{<h1>502 Bad Gateway</h1>}, 'nginx\'s page');
$t->start_s3d();

$t->done();
