#!/usr/bin/perl

# s3_static: where locations look, indexes, fallbacks, precompressed objects,
# listings, caching rules, and what is refused by nginx -t.

use strict;
use warnings;

use Digest::MD5 qw(md5_base64);
use FindBin;
use IO::Socket::INET;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my @servers = qw(site app packed vary list mapped);
my %port = map { $_ => Test::S3::free_port() } @servers;
my %tls = map { $_ => Test::S3::free_port() } @servers;
my $t = Test::S3->new();
my $dir = $t->dir();
my $common = 'absolute_redirect off;
    types { text/html html; text/css css; text/javascript js; }' . $t->self_signed();
$t->{http} = <<"EOF";
    $common
    map \$host \$bucket { default site; two.test other; }
    server {
        listen 127.0.0.1:$port{site};
        s3_static s3d site;
        s3_index index.html default.html;

        location ~ \\.css\$ { expires 1h; add_header X-Rule css; }
        location /fixed/ {
            s3_hide_header Cache-Control;
            add_header Cache-Control "public, immutable";
        }
        location /away/ { s3_static off; root $dir/tree; }
        location /said/ { return 403; }
        location /site/ { s3_pass s3d; }
        location = /exact { s3_static s3d site/docs/page.html; }
        location /errors/ {
            s3_static s3d site/none;
            error_page 404 /404.html;
        }
        location /errors/code/ {
            s3_static s3d site/none;
            error_page 404 =200 /404.html;
        }
        location /errors/app/ {
            s3_static s3d site/none;
            error_page 404 = \@app;
        }
        location \@app { return 202 "app"; }
    }
    server {
        listen 127.0.0.1:$port{app};
        location / {
            s3_static s3d site/app;
            s3_try \$uri \$uri/ /index.html;
            location /api/ { s3_try \$uri =410; }
            location /alias/ { s3_static s3d site/docs; s3_try \$uri /alias/page.html; }
        }
        location /assets/ { s3_static s3d site/app/assets/; s3_try \$uri =404; }
    }
    server {
        listen 127.0.0.1:$port{packed};
        s3_static s3d site/packed;
        s3_precompressed br zst gz;
    }
    server {
        listen 127.0.0.1:$port{vary};
        gzip on; gzip_vary on; gzip_min_length 1; gzip_types text/css;
        s3_static s3d site/packed;
        s3_precompressed gz;
        location /off/ { s3_static s3d site/packed; s3_precompressed off; gzip off; }
    }
    server {
        listen 127.0.0.1:$port{list};
        s3_static s3d site/list;
        s3_autoindex on;
        location /json/ { s3_static s3d site/list; s3_autoindex json; }
    }
    server {
        listen 127.0.0.1:$port{mapped};
        s3_static s3d \$bucket/\$arg_v;
        location ~ ^/k\$ { s3_static s3d \$bucket; }
        location /slash/ { s3_static s3d site/\$arg_v/; }
        location /prefix/ { s3_static s3d \$bucket/docs; }
        location /noslash { s3_static s3d site/docs; }
        location ~ ^/re/ { rewrite ^/re(/.*)\$ \$1 break; s3_static s3d site/docs; }
        location /bad/ { s3_static s3d /\$arg_v; }
    }
EOF
$t->{http} =~ s/(listen 127.0.0.1:$port{$_};)/$1 listen 127.0.0.1:$tls{$_} ssl http2;/
    for @servers;
$t->run();

sub store {
    my ($key, $body, @headers) = @_;
    my $r = $t->put('/site/' . Test::S3::uri_escape($key, '/'), body => $body,
        headers => \@headers);
    is($r->{status}, 200, "$key stored");
}

sub get {
    my ($where, $target, @headers) = @_;
    my $socket = IO::Socket::INET->new("127.0.0.1:$port{$where}")
        or die "connect: $!";
    return $t->request('GET', $target, sign => 0, socket => $socket,
        host => host($where, $target), headers => \@headers);
}

sub host {
    my ($where, $target) = @_;
    return $where eq 'mapped' && $target =~ /two/ ? 'two.test' : 'one.test';
}

my %checked;    # by server: [target, what was answered]

sub check {
    my ($where, $target, $wanted, $what) = @_;
    my $r = get($where, $target);
    my $body = $r->{status} < 300 ? $r->{body} : $r->{headers}{location} // '';
    is("$r->{status} $body", $wanted, $what // "$where: $target");
    push @{ $checked{$where} }, [ $target, $wanted ];
    return $r;
}

$t->put('/site');
$t->put('/other');
$t->put('/other/k', body => 'of the other');
store('index.html', 'home');
store('default.html', 'not the first');
store('docs/page.html', 'page', [ 'Cache-Control' => 'max-age=5' ]);
store('docs/default.html', 'second index');
store('empty/key', 'x');
store('style.css', 'css', [ 'Cache-Control' => 'max-age=5' ]);
store('fixed/a.html', 'fixed', [ 'Cache-Control' => 'max-age=5' ]);
store('dir', 'an object where a directory is');
store('dir/index.html', 'a directory');
store('404.html', 'custom page');
mkdir "$dir/tree";
mkdir "$dir/tree/away";
$t->write_file('tree/away/file.html', 'a file');

# --- where locations look ------------------------------------------------------

check('site', '/', '200 home');
check('site', '/docs/', '200 second index');
check('site', '/docs', '301 /docs/');
check('site', '/dir', '200 an object where a directory is');
check('site', '/dir/', '200 a directory');
check('site', '/empty/', '404 ');
check('site', '/empty', '301 /empty/');
check('site', '/exact', '200 page');
check('site', '/away/file.html', '200 a file');
check('site', '/said/x', '403 ');
is(get('site', '/site/index.html')->{code}, 'AccessDenied', 'the API beside it');
check('mapped', '/prefix/page.html', '200 page');
check('mapped', '/page.html?v=docs', '200 page');
check('mapped', '/page.html?v=docs/', '200 page');
check('mapped', '/docs/page.html', '500 '); # not the whole bucket
check('mapped', '/slash/docs/page.html', '500 ');
check('mapped', '/k?two', '200 of the other');
check('mapped', '/k', '404 ');
check('mapped', '/noslash/page.html', '200 page');
check('mapped', '/re/page.html', '200 page');
check('mapped', '/bad/?v=x', '500 ');
is(get('site', '/' . 'k' x 1100)->{status}, 404, 'a name that no key has');
is(get('site', '/%ff')->{status}, 404, 'nor this');

# --- rules ---------------------------------------------------------------------

my $r = get('site', '/style.css');
is(join('|', grep { /^(cache-control|x-rule)/i } map { "$_->[0]: $_->[1]" }
    @{ $r->{list} }), 'Cache-Control: max-age=3600|X-Rule: css', 'expires wins');
$r = get('site', '/fixed/a.html');
is($r->{headers}{'cache-control'}, 'public, immutable', 'the object\'s is hidden');
$r = get('site', '/docs/page.html');
is($r->{headers}{'cache-control'}, 'max-age=5', 'elsewhere it is there');

$r = get('site', '/errors/x');
is("$r->{status} $r->{body}", '404 custom page', 'error_page out of the bucket');
$r = get('site', '/errors/x', [ Range => 'bytes=0-1' ], [ 'If-None-Match' => '*' ]);
is("$r->{status} $r->{body}", '404 custom page', 'it was not asked for in parts');
$r = get('site', '/errors/code/x');
is("$r->{status} $r->{body}", '200 custom page', 'with another code');
$r = get('site', '/errors/app/x');
is("$r->{status} $r->{body}", '202 app', 'an application instead');

# --- a single-page application ---------------------------------------------------

store('app/index.html', 'the app');
store('app/main.js', 'code');
store('app/assets/logo.html', 'logo');
store('app/api/there', 'data');
check('app', '/', '200 the app');
check('app', '/main.js', '200 code');
check('app', '/users/42', '200 the app', 'a deep link');
check('app', '/users/', '200 the app');
check('app', '/assets', '301 /assets/', 'a directory before the fallback');
check('app', '/api/there', '200 data');
check('app', '/api/absent', '410 ', 'another code');
check('site', '/errors', '301 /errors/', 'the name of a location');
check('app', '/assets/logo.html', '200 logo');
check('app', '/assets/absent', '404 ');
check('app', '/alias/absent', '200 page');
is(get('app', '/users/42')->{headers}{'content-type'}, 'text/html',
    'the fallback has its own type');

# --- precompressed -----------------------------------------------------------------

store('packed/a.css', 'plain');
store('packed/a.css.br', 'brotli', [ 'Content-Type' => 'application/x-br' ]);
store('packed/a.css.gz', 'gzipped', [ 'Content-Encoding' => 'gzip' ]);
store('packed/b.css', 'only plain');
store('packed/c.css.gz', 'only gzipped');
store('packed/d/index.html', 'index');
store('packed/d/index.html.zst', 'zstandard');

sub packed {
    my ($target, $accept, $wanted) = @_;
    my $r = get('packed', $target,
        defined $accept ? [ 'Accept-Encoding' => $accept ] : ());
    is(join('|', $r->{status}, $r->{body}, map { $r->{headers}{$_} // '-' }
        qw(content-encoding content-type vary)), $wanted,
        "$target, " . ($accept // 'nothing') . ' accepted');
    return $r;
}

packed('/a.css', undef, '200|plain|-|text/css|Accept-Encoding');
packed('/a.css', 'gzip, br', '200|brotli|br|text/css|Accept-Encoding');
packed('/a.css', 'gzip, br;q=0.5', '200|gzipped|gzip|text/css|Accept-Encoding');
packed('/a.css', 'zstd, gzip;q=0.5', '200|gzipped|gzip|text/css|Accept-Encoding');
packed('/a.css', 'br;q=0, gzip;q=0', '200|plain|-|text/css|Accept-Encoding');
packed('/a.css', 'identity, br;q=0.9', '200|plain|-|text/css|Accept-Encoding');
packed('/a.css', '*', '200|brotli|br|text/css|Accept-Encoding');
packed('/b.css', 'gzip, br', '200|only plain|-|text/css|Accept-Encoding');
packed('/c.css', 'gzip', '200|only gzipped|gzip|text/css|Accept-Encoding');
packed('/d/', 'zstd', '200|zstandard|zstd|text/html|Accept-Encoding');
my $etag = packed('/a.css', 'br', '200|brotli|br|text/css|Accept-Encoding')
    ->{headers}{etag};
$r = get('packed', '/a.css', [ 'Accept-Encoding' => 'br' ],
    [ 'If-None-Match' => $etag ]);
is("$r->{status} $r->{headers}{vary}", '304 Accept-Encoding', 'Vary with 304');
isnt($etag, get('packed', '/a.css')->{headers}{etag}, 'each form has its tag');
is(get('packed', '/c.css')->{status}, 404, 'no form that is accepted');

$r = get('vary', '/a.css', [ 'Accept-Encoding' => 'gzip' ]);
is(join('|', $r->{body}, map { $r->{headers}{$_} } qw(content-encoding vary)),
    'gzipped|gzip|Accept-Encoding', 'what is compressed is not once more');
$r = get('vary', '/b.css', [ 'Accept-Encoding' => 'gzip' ]);
is(join('|', map { $r->{headers}{$_} } qw(content-encoding vary)),
    'gzip|Accept-Encoding', 'nginx compresses what is not');
like($r->{headers}{etag}, qr{^W/"}, 'and weakens the tag');
is(get('vary', '/b.css', [ 'Accept-Encoding' => 'gzip' ],
    [ 'If-None-Match' => $r->{headers}{etag} ])->{status}, 304, 'which still fits');
$r = get('vary', '/off/a.css', [ 'Accept-Encoding' => 'gzip' ]);
is("$r->{body} " . ($r->{headers}{vary} // '-'), 'plain -', 's3_precompressed off');

# --- listings ----------------------------------------------------------------------

store('list/<i>.html', 'x');
store('list/sub/one', 'x');
store('list/with/index.html', 'index instead');
$r = get('list', '/');
is("$r->{status} $r->{headers}{'content-type'}", '200 text/html', 'a listing');
like($r->{body}, qr{<a href="\./%3Ci%3E\.html">&lt;i&gt;\.html</a>}, 'is escaped');
like($r->{body}, qr{<a href="\./sub/">sub/</a>}, 'has directories');
check('list', '/with/', '200 index instead');
check('list', '/absent/', '404 ');
check('list', '/sub', '301 /sub/');
$r = get('list', '/json/?after=sub/');
is("$r->{status} $r->{headers}{'content-type'} $r->{body}",
    qq(200 application/json [{"name": "with", "type": "directory"}]\n),
    'as JSON, from a name on');
check('site', '/docs/', '200 second index', 'none by default');
check('site', '/empty/', '404 ', 'none by default');

# --- all that was checked over HTTP/2 and TLS -----------------------------------------

for my $where (sort keys %checked) {
    my @asked = @{ $checked{$where} };
    my @answers = $t->over_h2($tls{$where},
        map { [ 'GET', host($where, $_->[0]), $_->[0] ] } @asked);
    for my $i (0 .. $#asked) {
        my $r = $answers[$i];
        my $body = $r->{status} < 300 ? $r->{body} : $r->{headers}{location} // '';
        is("$r->{status} $body", $asked[$i][1], "HTTP/2, $where: $asked[$i][0]");
    }
}

# --- other origins -----------------------------------------------------------------

my $rules = '<CORSConfiguration><CORSRule><AllowedOrigin>https://a.test</AllowedOrigin>'
    . '<AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>';
is($t->put('/site?cors', body => $rules,
    headers => [ [ 'Content-MD5' => md5_base64($rules) . '==' ] ])->{status}, 200,
    'the bucket\'s CORS rules');
$r = get('site', '/style.css', [ Origin => 'https://a.test' ]);
is($r->{headers}{'access-control-allow-origin'}, 'https://a.test', 'hold here too');
$r = get('site', '/none', [ Origin => 'https://a.test' ]);
is("$r->{status} $r->{headers}{'access-control-allow-origin'}", '404 https://a.test',
    'and of what is not there');

sub preflight {
    my ($method, @more) = @_;
    return $t->request('OPTIONS', '/style.css', sign => 0,
        socket => IO::Socket::INET->new("127.0.0.1:$port{site}"), host => 'one.test',
        headers => [ [ Origin => 'https://a.test' ],
            [ 'Access-Control-Request-Method' => $method ], @more ]);
}
$r = preflight('GET');
is(join('|', $r->{status}, $r->{body}, map { $r->{headers}{"access-control-allow-$_"} }
    qw(origin methods)), '200||https://a.test|GET', 'a preflight');
for ([ 'PUT' ], [ GET => [ 'Access-Control-Request-Headers' => 'x-other' ] ]) {
    $r = preflight(@$_);
    is($r->{status}, 403, "$_->[0], with what is not allowed");
    like($r->{body}, qr{<h1>403 Forbidden</h1>}, 'nginx\'s page');
    is($r->{headers}{'access-control-allow-origin'}, undef, 'and nothing is allowed');
}
$r = $t->request('OPTIONS', '/style.css', sign => 0, host => 'one.test',
    socket => IO::Socket::INET->new("127.0.0.1:$port{site}"));
is($r->{status}, 405, 'OPTIONS alone is no preflight');

# --- what nginx -t says ------------------------------------------------------------

my $good = $t->nginx_conf();

sub refused {
    my ($lines, $reason) = @_;
    (my $text = $good) =~ s/s3_static s3d site\/list;/$lines/ or die 'no line';
    my ($status, $output) = $t->test_config($text);
    isnt($status, 0, "$lines is refused");
    like($output, $reason, 'with a reason');
}

refused('s3_static s3d;', qr/requires an upstream and a bucket/);
refused('s3_static s3d site; s3_static s3d site;', qr/duplicate/);
refused('s3_static s3d site; s3_index a/b;', qr/is no name/);
refused('s3_static s3d site; s3_try =404;', qr/requires a URI/);
refused('s3_static s3d site; s3_try / =200;', qr/invalid code/);
refused('s3_static s3d site; s3_precompressed lz;', qr/invalid parameter/);
refused('s3_static s3d site; s3_autoindex maybe;', qr/invalid value/);
(my $text = $good) =~ s/s3_pass s3d;/return 404;/g;
$text =~ s/s3_zone keys:1m;//;
my ($status, $output) = $t->test_config($text);
is($status, 0, 'no zone is needed for files') or diag $output;

$t->done();
