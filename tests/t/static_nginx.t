#!/usr/bin/perl

# What nginx does with files, over s3_static: X-Accel-Redirect, access, limits,
# filters, caches, TLS and HTTP/2.

use strict;
use warnings;

use Compress::Zlib qw(crc32 compress memGunzip);
use Digest::MD5 qw(md5 md5_hex);
use FindBin;
use IO::Socket::INET;
use MIME::Base64 qw(encode_base64);
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;
use Time::HiRes qw(time);

my %port = map { $_ => Test::S3::free_port() } qw(web app tls cache);
my $t = Test::S3->new();
my $dir = $t->dir();
my $certificate = $t->self_signed();

# image_filter is loaded behind the S3 module, and so runs before it.
{
    no warnings 'redefine';
    my $conf = \&Test::S3::nginx_conf;
    *Test::S3::nginx_conf = sub {
        my $text = $conf->(@_);
        $text =~ s{^(daemon )}{load_module
            /usr/lib/nginx/modules/ngx_http_image_filter_module.so;\n$1}m;
        return $text;
    };
}

my $locations = <<'EOF';
        location / { s3_static s3d web; }
        location /internal/ { internal; s3_static s3d web; }
        location /app/ { proxy_pass http://127.0.0.1:APP; }
        location /slow/ { s3_static s3d web; limit_rate 700k; }
        location /auth/ { auth_request /allowed; s3_static s3d web; }
        location = /allowed { internal; if ($request_uri !~ key=good) { return 403; } return 204; }
        location /link/ {
            secure_link $arg_md5,$arg_expires;
            secure_link_md5 "$secure_link_expires$uri secret";
            if ($secure_link = "") { return 403; }
            if ($secure_link = "0") { return 410; }
            s3_static s3d web;
        }
        location /basic/ { auth_basic web; auth_basic_user_file users; s3_static s3d web; }
        location /size/ { image_filter size; s3_static s3d web; }
        location /image/ { image_filter rotate 180; s3_static s3d web; error_page 415 = /415; }
        location /thumb/ { image_filter rotate 180; s3_static s3d web; error_page 404 @thumb; }
        location @thumb { return 404 "no thumb"; }
        location = /415 { return 415 "no image"; }
        location /ssi/ { ssi on; max_ranges 0; s3_static s3d web; s3_precompressed gz; }
        location /sub/ { sub_filter dog cat; max_ranges 0; s3_static s3d web; }
        location /gzip/ { gzip on; gzip_min_length 1; s3_static s3d web; }
        location /gunzip/ { gunzip on; s3_static s3d web; }
        location /charset/ { charset utf-8; s3_static s3d web; }
        location /add/ { add_after_body /frag.html; max_ranges 0; s3_static s3d web; }
        location /data/ { s3_static s3d web; s3_segments off; }
        location /unverified/ { s3_static s3d web; s3_verify off; }
        location /post/ { error_page 405 =200 $uri; s3_static s3d web; }
        location ~ ^/any/(?<bucket>[^/]+)/ { internal; rewrite ^/any/[^/]+(/.*)$ $1 break; s3_static s3d $bucket; }
        location ~ ^/if/ { if ($arg_x) { set $y 1; } rewrite ^/if(/.*)$ $1 break; s3_static s3d web; }
EOF
$locations =~ s/APP/$port{app}/;
$t->{http} = <<"EOF";
    types { text/html html; image/png png; text/plain txt; }
    absolute_redirect off;
    proxy_cache_path $dir/cache keys_zone=cache:1m inactive=1h;
    log_format plain '\$status \$uri \$s3_operation \$s3_bucket \$s3_key';
    server { listen 127.0.0.1:$port{web}; $locations }
    server {
        listen 127.0.0.1:$port{tls} ssl http2;
        $certificate
        $locations
    }
    server {
        listen 127.0.0.1:$port{app};
        location /app/dl { add_header X-Accel-Redirect /internal/big.png; return 200; }
        location /app/doc {
            add_header X-Accel-Redirect /internal/frag.html;
            add_header Content-Disposition "attachment; filename=a.txt";
            add_header Cache-Control private;
            default_type text/x-app;
            return 200;
        }
        location /app/slow {
            add_header X-Accel-Redirect /internal/big.png;
            add_header X-Accel-Limit-Rate 700000;
            return 200;
        }
        location /app/any { add_header X-Accel-Redirect /any/web/frag.html; return 200; }
        location /app/none { add_header X-Accel-Redirect /internal/none; return 200; }
        location /app/origin/ {
            access_log $dir/origin.log plain;
            s3_static s3d web;
        }
    }
    server {
        listen 127.0.0.1:$port{cache};
        location / {
            proxy_pass http://127.0.0.1:$port{app}/app/origin/;
            proxy_cache cache;
            proxy_cache_lock on;
            proxy_cache_revalidate on;
            proxy_cache_use_stale error;
            proxy_cache_background_update on;
            add_header X-Cache \$upstream_cache_status;
        }
    }
EOF
$t->write_file('users', 'ann:' . crypt('pass', 'ab') . "\n");
$t->run();

my $big = join '', map { pack 'N', $_ } 0 .. 300_000;    # 1,200,004 bytes
my $size = length $big;

sub chunk { return pack('N', length $_[1]) . $_[0] . $_[1] . pack('N', crc32($_[0] . $_[1])) }
my $png = "\x89PNG\r\n\x1a\n" . chunk('IHDR', pack('NNC5', 2, 3, 8, 2, 0, 0, 0))
    . chunk('IDAT', compress(("\0" . "\xff" x 6) x 3)) . chunk('IEND', '');

$t->put('/web');
sub store {
    my ($key, $body, @headers) = @_;
    is($t->put("/web/$key", body => $body, headers => \@headers)->{status}, 200,
        "$key stored");
}

sub from {
    my ($where, $method, $target, @headers) = @_;
    my $socket = IO::Socket::INET->new("127.0.0.1:$port{$where}")
        or die "connect: $!";
    return $t->request($method, $target, sign => 0, socket => $socket,
        headers => \@headers);
}
sub get { return from('web', 'GET', @_) }

my $brief = [ 'Cache-Control' => 'max-age=4, stale-while-revalidate=60' ];
store('big.png', $big, $brief);
store('frag.html', '<b>dog</b>', [ 'Cache-Control' => 'max-age=9' ]);
store('2x3.png', $png);
store('page.html', 'A <!--# include virtual="/frag.html" --> B'
    . '<!--# include virtual="/none.html" -->');
store('set.html', '<!--# include virtual="/frag.html" set="x" -->'
    . '<!--# echo var="x" encoding="none" -->!');
store('page.html.gz', 'not to be taken apart');
store('text.txt', 'text ' x 100);
store('deflated.html', Compress::Zlib::memGzip('inflated'),
    [ 'Content-Encoding' => 'gzip' ]);

# --- X-Accel-Redirect -----------------------------------------------------------

my $r = get('/app/dl');
is("$r->{status} $r->{headers}{'content-length'}", "200 $size", 'X-Accel-Redirect');
ok($r->{body} eq $big, 'all bytes');
is($r->{headers}{etag}, '"' . md5_hex($big) . '"', 'the object\'s tag');
$r = get('/app/dl', [ Range => 'bytes=5-6,900000-1000000' ]);
is($r->{status}, 206, 'its ranges');
$r = get('/app/dl', [ 'If-None-Match' => '"' . md5_hex($big) . '"' ]);
is($r->{status}, 304, 'its conditions');
$r = get('/app/doc');
is(join('|', $r->{body}, map { $r->{headers}{$_} } qw(content-type
    content-disposition cache-control)),
    '<b>dog</b>|text/x-app|attachment; filename=a.txt|private',
    'what the application says goes first');
is(get('/app/any')->{body}, '<b>dog</b>', 'of any bucket');
is(get('/any/web/frag.html')->{status}, 404, 'if the application says so');
is(get('/app/none')->{status}, 404, 'what is not there');
is(get('/internal/big.png')->{status}, 404, 'internal is internal');
is(from('web', 'HEAD', '/app/dl')->{headers}{'content-length'}, $size, 'HEAD');

# --- access, limits ---------------------------------------------------------------

is(get('/auth/frag.html')->{status}, 403, 'auth_request: no');
is(get('/auth/frag.html?key=good')->{body}, '<b>dog</b>', 'auth_request: yes');
is(get('/basic/frag.html')->{status}, 401, 'auth_basic: no');
is(get('/basic/frag.html', [ Authorization => 'Basic ' . encode_base64('ann:pass', '') ])
    ->{body}, '<b>dog</b>', 'auth_basic: yes');

sub link_to {
    my ($expires) = @_;
    (my $hash = encode_base64(md5("$expires/link/frag.html secret"), '')) =~ tr{+/=}{-_}d;
    return "/link/frag.html?md5=$hash&expires=$expires";
}
is(get(link_to(int(time) + 60))->{body}, '<b>dog</b>', 'secure_link');
is(get(link_to(int(time) - 60))->{status}, 410, 'secure_link: too late');
is(get('/link/frag.html?md5=x&expires=9')->{status}, 403, 'secure_link: no');

# nginx lets a second's bytes go at once.
for my $target ('/slow/big.png', '/app/slow') {
    my $began = time;
    $r = get($target, [ Range => 'bytes=0-999999' ]);
    my $seconds = time - $began;
    ok($r->{body} eq substr($big, 0, 1_000_000), "limit_rate, $target: all bytes");
    cmp_ok($seconds, '>', 0.25, 'not at once');
    cmp_ok($seconds, '<', 60, 'nor much later');
}

# --- filters ------------------------------------------------------------------------

$r = get('/size/2x3.png');
like($r->{body}, qr/"width": 2,\s+"height": 3,\s+"type": "png"/, 'image_filter: size');
$r = get('/image/2x3.png');
is("$r->{status} " . substr($r->{body}, 1, 3), '200 PNG', 'image_filter: turned');
isnt($r->{body}, $png, 'into another image');
is(get('/image/frag.html')->{body}, 'no image', 'image_filter: 415');
is(get('/image/none.png')->{status}, 415, 'image_filter: nor is a page, as over files');
$r = get('/thumb/none.png');
is("$r->{status} $r->{body}", '404 no thumb', 'image_filter: error_page comes first');

is(get('/ssi/frag.html')->{body}, '<b>dog</b>', 'ssi: nothing to do');
for my $headers ([], [ [ Range => 'bytes=0-3' ] ], [ [ 'If-Modified-Since' =>
        'Fri, 01 Jan 2010 00:00:00 GMT' ], [ 'If-Range' => '"x"' ] ]) {
    $r = get('/ssi/page.html', @$headers);
    is($r->{status}, 200, 'ssi');
    like($r->{body}, qr{^A <b>dog</b> B.*404 Not Found}s, 'includes whole objects');
}
is(get('/ssi/set.html')->{body}, '<b>dog</b>!', 'ssi: into a variable');
$r = get('/sub/frag.html', [ Range => 'bytes=0-3' ]);
is("$r->{status} $r->{body}", '200 <b>cat</b>', 'sub_filter');
$r = get('/add/text.txt');
is($r->{body}, 'text ' x 100, 'addition: not of this type');
is(get('/add/frag.html')->{body}, '<b>dog</b>' x 2, 'addition');
$r = get('/gzip/frag.html', [ 'Accept-Encoding' => 'gzip' ]);
is("$r->{headers}{'content-encoding'} " . memGunzip($r->{body}), 'gzip <b>dog</b>',
    'gzip');
like($r->{headers}{etag}, qr{^W/"}, 'gzip: a weak tag');
is(get('/gunzip/deflated.html')->{body}, 'inflated', 'gunzip');
is(get('/gunzip/deflated.html', [ 'Accept-Encoding' => 'gzip' ])
    ->{headers}{'content-encoding'}, 'gzip', 'gunzip: only who needs it');
is(get('/charset/frag.html')->{headers}{'content-type'}, 'text/html; charset=utf-8',
    'charset');
is(get('/if/frag.html?x=1')->{body}, '<b>dog</b>', 'if and rewrite');
is(from('web', 'POST', '/post/frag.html')->{body}, '<b>dog</b>', 'error_page 405');

# --- ways of the bytes ----------------------------------------------------------------

for my $where ('', '/data', '/unverified') {
    ok(get("$where/big.png")->{body} eq $big, "all bytes ($where)");
    my @parts = map { (split /\r\n\r\n/, $_, 2)[1] } split /\r\n--[0-9A-F]{16}/,
        get("$where/big.png", [ Range => 'bytes=0-199999,1000000-1199999,7-7' ])->{body};
    ok($parts[0] eq substr($big, 0, 200_000) && $parts[1] eq substr($big, 1_000_000, 200_000)
        && $parts[2] eq substr($big, 7, 1), "three ranges ($where)");
}
my $socket = IO::Socket::INET->new("127.0.0.1:$port{web}");
for my $target (qw(/none.html /frag.html /none /big.png /none.html /frag.html)) {
    $r = $t->request('GET', $target, sign => 0, socket => $socket);
    is($r->{status}, $target =~ /none/ ? 404 : 200, "$target on one connection");
}

# --- a cache in front -------------------------------------------------------------------

my @sockets = map {
    my $s = IO::Socket::INET->new("127.0.0.1:$port{cache}") or die "connect: $!";
    $t->write_all($s, $t->compose('GET', '/big.png', sign => 0));
    $s;
} 1 .. 60;
my $good = grep { $t->read_response($_)->{body} eq $big } @sockets;
is($good, 60, 'sixty clients have the object');
$t->wait_for('its log', sub { $t->read_file('origin.log') });
is(scalar(my @lines = split /\n/, $t->read_file('origin.log')), 1, 'one of them read it');
is($lines[0], '200 /app/origin/big.png GetFile web big.png', 'and the log says what');
$t->put('/web/big.png', body => 'new', headers => [ $brief ]);
$t->wait_for('a second', sub {
    $r = from('cache', 'GET', '/big.png');
    return $r->{headers}{'x-cache'} ne 'HIT';
});
is($r->{headers}{'x-cache'}, 'STALE', 'the object says stale-while-revalidate');
ok($r->{body} eq $big, 'so its old bytes come');
$t->wait_for('the new object', sub {
    return from('cache', 'GET', '/big.png')->{body} eq 'new' });
pass('then the new ones');
$t->put('/web/big.png', body => $big, headers => [ $brief ]);

# --- TLS, HTTP/2 ------------------------------------------------------------------------

sub curl {
    my ($target, @options) = @_;
    open my $p, '-|', 'curl', '-sk', '--http2', '-w', '|%{http_version} %{http_code}',
        @options, "https://127.0.0.1:$port{tls}$target" or die "curl: $!";
    local $/;
    my $text = <$p>;
    close $p;
    return $text;
}

is(curl('/frag.html'), '<b>dog</b>|2 200', 'HTTP/2');
ok(curl('/big.png') eq "$big|2 200", 'large');
ok(curl('/app/dl', '-r', '1000-700000') eq substr($big, 1000, 699_001) . '|2 206',
    'a range by X-Accel-Redirect');
is(() = curl('/big.png', '-r', '1-2,900000-900001') =~ /Content-Range: bytes/g, 2,
    'two ranges');
like(curl('/none'), qr/404 Not Found.*\|2 404$/s, 'nginx\'s page');
is(curl('/frag.html', '-I') =~ s/.*\|//sr, '2 200', 'HEAD');
is(curl('/frag.html', '-H', 'If-None-Match: "' . md5_hex('<b>dog</b>') . '"'), '|2 304',
    'not modified');
ok(curl('/slow/big.png') eq "$big|2 200", 'limit_rate');
is(curl('/gzip/frag.html', '--compressed'), '<b>dog</b>|2 200', 'gzip');

$t->done();
