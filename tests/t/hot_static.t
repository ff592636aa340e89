#!/usr/bin/perl

# The hot index answers for files and websites: byte for byte what s3d would
# answer, and what changes is seen by the next request.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use FindBin;
use IO::Socket::INET;
use IO::Uncompress::Gunzip qw(gunzip);
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;
use Test::S3;

# The same twice: one asks s3d always.
my ($hot_port, $asking_port, $web_port, $asking_web_port)
    = map { Test::S3::free_port() } 1 .. 4;
my $domain = 'site.test';
my $t = Test::S3->new();
my $site = <<'EOF2';
        types { text/html html; text/css css; }
        default_type application/x-default;
        absolute_redirect off;
        s3_static s3d site;
        location /forms/ { s3_precompressed br gz; }
        location /vary/ { s3_precompressed br; gzip_vary on; }
        location /try/ { s3_try $uri /try/index.html; }
        location /folders/ { s3_try $uri $uri/ /try/index.html; }
        location /list/ { s3_autoindex on; }
        location /whole/ { max_ranges 0; }
        location /hide/ {
            s3_hide_header Cache-Control; s3_hide_header etag;
            s3_hide_header Content-Type; s3_hide_header Content-Range; }
        location /expires/ { expires 1h; add_header X-Hot $s3_hot; }
        location /since/ { expires modified +1h; }
        location /gzip/ { gzip on; gzip_types *; gzip_min_length 0; gzip_http_version 1.0; }
        location /charset/ { charset koi8-r; }
        location /sub/ { sub_filter text changed; max_ranges 0; }
        location /errors/ { error_page 404 /index.html; }
        location /exact/ { if_modified_since exact; }
        location /before/ { if_modified_since before; }
        location /off/ { if_modified_since off; }
EOF2
sub servers {
    my ($static, $web, $more) = @_;
    return <<"EOF2";
    server { listen 127.0.0.1:$static; $more
$site    }
    server { listen 127.0.0.1:$web; $more
        location / { s3_website s3d; s3_domain $domain; } }
EOF2
}
$t->{http} = 'add_header X-Hot $s3_hot always;'
    . servers($hot_port, $web_port, '')
    . servers($asking_port, $asking_web_port, 's3_hot off;');
$t->run();

sub ask {
    my ($port, $method, $target, @headers) = @_;
    my $socket = IO::Socket::INET->new("127.0.0.1:$port") or die "connect: $!";
    return $t->request($method, $target, sign => 0, socket => $socket,
        host => "bkt.$domain", headers => \@headers);
}

sub is_hot { return ($_[0]{headers}{'x-hot'} // '') eq 'HIT' }

# Asks, and for all of it too, until the index answers; the answer.
sub warm {
    my ($port, $method, $target, @headers) = @_;
    my @whole = grep { $_->[0] !~ /^(range|if-)/i } @headers;
    my $r;
    for (1 .. 20) {
        $r = ask($port, $method, $target, @headers);
        return $r if is_hot($r);
        ask($port, $method, $target, @whole);
    }
    return $r;
}

# What is told of an answer, but for what is of each request.
sub shown {
    my ($r) = @_;
    my $body = $r->{body};
    # s3d's pieces are flushed: the same text in other bytes
    gunzip(\$r->{body}, \$body) if $body =~ /^\x1f\x8b/;
    my $text = join "\n", "$r->{status} $r->{reason}",
        (map { "$_->[0]: $_->[1]" }
            grep { $_->[0] !~ /^(x-amz-request-id|x-amz-id-2|Date|X-Hot)$/i }
            @{ $r->{list} }), '', $body;
    $text =~ s/[0-9A-F]{16}/ID/g;
    $text =~ s/(Expires: |max-age=).*/$1TIME/ if $r->{status} < 400;
    return $text;
}

# --- files ----------------------------------------------------------------------
$t->put('/site');
my %files = (
    'index.html' => [ '<p>home</p>' ],
    'page.html' => [ 'text' x 100,
        [ 'Cache-Control', 'max-age=60, public' ],
        [ 'Content-Disposition', 'attachment; filename="a b"' ],
        [ 'Content-Language', 'de' ],
        [ 'x-amz-meta-surrogate-key', 'one two' ],
        [ 'x-amz-meta-other', 'not told' ] ],
    'plain' => [ 'no name', [ 'Content-Type', 'application/octet-stream' ] ],
    'typed' => [ 'text', [ 'Content-Type', 'text/plain; charset="utf-8"' ] ],
    'empty.css' => [ '' ],
    'large.css' => [ 'b {}' x 1600 ],
    'larger.css' => [ 'b {}' x 6000 ],
    'dir/index.html' => [ 'in a directory' ],
    'forms/a.css' => [ 'plain' ], 'forms/a.css.br' => [ 'brotli' ],
    'forms/b.css' => [ 'plain' ], 'forms/c.css.gz' => [ 'gzip' ],
    'vary/a.css' => [ 'plain' ], 'vary/a.css.br' => [ 'brotli' ],
    'try/index.html' => [ 'the application' ],
    'list/a' => [ 'a' ],
    map { ("$_/page.html" => [ 'text' x 20, [ 'Cache-Control', 'max-age=5' ],
        [ 'Expires', 'Thu, 01 Dec 2050 16:00:00 GMT' ] ]) }
        qw(whole hide expires since gzip charset sub exact before off),
);
for my $name (sort keys %files) {
    my ($body, @headers) = @{ $files{$name} };
    is($t->put("/site/$name", body => $body, headers => \@headers)->{status},
        200, "$name stored");
}

my $page = ask($asking_port, 'HEAD', '/page.html')->{headers};
my ($etag, $date) = @$page{qw(etag last-modified)};
my ($past, $future) = map { "Thu, 01 Dec $_ 16:00:00 GMT" } 1994, 2050;
my @selecting = (
    [ 1, [ 'Range', 'bytes=1-3' ] ],
    [ 1, [ 'Range', 'bytes=-5' ] ],
    [ 1, [ 'Range', 'bytes=390-5000' ] ],
    [ 1, [ 'Range', 'bytes=0-399' ] ],
    [ 0, [ 'Range', 'bytes=1-3,5-6' ] ],
    [ 1, [ 'Range', 'bytes=1-3,500-' ] ],
    [ 1, [ 'Range', 'bytes=0-399,0-' ] ],
    [ 1, [ 'Range', 'bytes=400-' ] ],
    [ 1, [ 'Range', 'bytes=x' ] ],
    [ 1, [ 'Range', 'lines=1-3' ] ],
    [ 0, [ 'Range', '' ] ],
    [ 1, [ 'Range', 'bytes=1-3' ], [ 'If-Range', $etag ] ],
    [ 1, [ 'Range', 'bytes=1-3' ], [ 'If-Range', '"no"' ] ],
    [ 1, [ 'Range', 'bytes=1-3' ], [ 'If-Range', $date ] ],
    [ 1, [ 'If-None-Match', $etag ] ],
    [ 1, [ 'If-None-Match', "W/$etag" ] ],
    [ 1, [ 'If-None-Match', '"no", *' ] ],
    [ 1, [ 'If-None-Match', '"no"' ] ],
    [ 1, [ 'If-None-Match', '"no"' ], [ 'If-Modified-Since', $future ] ],
    [ 1, [ 'If-Modified-Since', $date ] ],
    [ 1, [ 'If-Modified-Since', $past ] ],
    [ 1, [ 'If-Modified-Since', $future ] ],
    [ 1, [ 'If-Match', $etag ] ],
    [ 1, [ 'If-Match', '"no"' ] ],
    [ 1, [ 'If-Match', '"no"' ], [ 'If-None-Match', $etag ] ],
    [ 1, [ 'If-Unmodified-Since', $past ] ],
    [ 1, [ 'If-Unmodified-Since', $future ] ],
);

my $br = [ 'Accept-Encoding', 'br, gzip' ];
for (
    (map { my ($hot, @headers) = @$_;
        map { [ $hot, $_, '/page.html', @headers ] } qw(GET HEAD) } @selecting),
    [ 1, 'GET', '/exact/page.html', [ 'If-Modified-Since', $future ] ],
    [ 1, 'GET', '/before/page.html', [ 'If-Modified-Since', $future ] ],
    [ 1, 'GET', '/off/page.html', [ 'If-Modified-Since', $future ] ],
    [ 1, 'GET', '/whole/page.html', [ 'Range', 'bytes=1-3' ] ],
    [ 1, 'GET', '/hide/page.html', [ 'Range', 'bytes=1-3' ] ],
    [ 1, 'GET', '/hide/page.html', [ 'If-None-Match', '*' ] ],
    [ 1, 'GET', '/expires/page.html', [ 'If-None-Match', '*' ] ],
    [ 1, 'GET', '/charset/page.html', [ 'If-None-Match', '*' ] ],
    [ 1, 'GET', '/typed', [ 'Range', 'bytes=1-' ] ],
    [ 1, 'GET', '/empty.css', [ 'Range', 'bytes=0-' ] ],
    [ 1, 'GET', '/forms/a.css', $br, [ 'If-None-Match', '*' ] ],
    [ 1, 'GET', '/forms/a.css', $br, [ 'Range', 'bytes=1-2' ] ],
    [ 1, 'GET', '/forms/a.css', $br, [ 'If-Match', '"no"' ] ],
    [ 1, 'GET', '/vary/a.css', $br, [ 'If-None-Match', '*' ] ],
    [ 1, 'GET', '/', [ 'If-None-Match', '*' ] ],
    [ 1, 'GET', '/larger.css', [ 'If-None-Match', '*' ] ],
    # hot or not, method, target, headers
    [ 1, 'GET', '/page.html' ],
    [ 1, 'HEAD', '/page.html' ],
    [ 1, 'GET', '/page.html?query=any', [ 'User-Agent', 'a' ] ],
    [ 1, 'GET', '/plain' ],
    [ 1, 'GET', '/typed' ],
    [ 1, 'GET', '/empty.css' ],
    [ 1, 'HEAD', '/empty.css' ],
    [ 1, 'GET', '/large.css' ],
    [ 0, 'GET', '/larger.css' ],
    [ 1, 'HEAD', '/larger.css' ],
    [ 1, 'GET', '/' ],
    [ 1, 'GET', '/dir/' ],
    [ 0, 'GET', '/dir' ],
    [ 0, 'GET', '/none' ],
    [ 0, 'GET', '/none/' ],
    [ 0, 'POST', '/page.html' ],
    [ 0, 'GET', '/page.html', [ 'Origin', 'http://a' ] ],
    [ 1, 'GET', '/forms/a.css', $br ],
    [ 1, 'GET', '/forms/a.css' ],
    [ 1, 'GET', '/forms/a.css', [ 'Accept-Encoding', 'gzip, br;q=0.5' ] ],
    [ 1, 'GET', '/forms/b.css', $br ],
    [ 1, 'GET', '/forms/c.css', $br ],
    [ 0, 'GET', '/forms/c.css' ],
    [ 1, 'GET', '/vary/a.css', $br ],
    [ 1, 'GET', '/vary/a.css' ],
    [ 1, 'GET', '/try/some/where' ],
    [ 1, 'GET', '/try/index.html' ],
    [ 0, 'GET', '/folders/some/where' ],
    [ 1, 'GET', '/list/a' ],
    [ 0, 'GET', '/list/' ],
    [ 1, 'GET', '/whole/page.html' ],
    [ 1, 'GET', '/hide/page.html' ],
    [ 1, 'GET', '/expires/page.html' ],
    [ 1, 'GET', '/since/page.html' ],
    [ 1, 'GET', '/gzip/page.html', [ 'Accept-Encoding', 'gzip' ] ],
    [ 1, 'GET', '/charset/page.html' ],
    [ 1, 'GET', '/sub/page.html' ],
    [ 1, 'GET', '/errors/none' ],
) {
    my ($hot, @request) = @$_;
    my $what = join ' ', @request[0, 1], map { @$_ } @request[2 .. $#request];
    my $r = warm($hot_port, @request);
    is(is_hot($r), !!$hot, "$what: " . ($hot ? 'hot' : 'asked'));
    is(shown($r), shown(ask($asking_port, @request)), "$what: the same");
}

# What is read is hot; what is read after the change is the change.
sub sees {
    my ($what, $port, $request, $change, $expected) = @_;
    ok(is_hot(warm($port, @$request)), "$what: hot before");
    $change->();
    my $r = ask($port, @$request);
    is("$r->{status} $r->{body}", $expected, "$what: seen");
    ok(!is_hot($r), "$what: by s3d");
}

my @form = ('GET', '/forms/b.css', $br);
sees('PUT', $hot_port, [ 'GET', '/list/a' ],
    sub { $t->put('/site/list/a', body => 'b') }, '200 b');
sees('PUT under a tag', $hot_port,
    [ 'GET', '/list/a',
        [ 'If-None-Match', '"' . md5_hex('b') . '"' ] ],
    sub { $t->put('/site/list/a', body => 'abc') }, '200 abc');
sees('PUT under a range', $hot_port, [ 'GET', '/list/a', [ 'Range', 'bytes=1-' ] ],
    sub { $t->put('/site/list/a', body => 'cde') }, '206 de');
sees('a form that comes', $hot_port, \@form,
    sub { $t->put('/site/forms/b.css.gz', body => 'gzip') }, '200 gzip');
sees('a better one', $hot_port, \@form,
    sub { $t->put('/site/forms/b.css.br', body => 'brotli') }, '200 brotli');
sees('a form that goes', $hot_port, \@form,
    sub { $t->delete('/site/forms/b.css.br') }, '200 gzip');
sees('what is before a fallback', $hot_port, [ 'GET', '/try/new' ],
    sub { $t->put('/site/try/new', body => 'new') }, '200 new');
sees('DELETE', $hot_port, [ 'GET', '/try/new' ],
    sub { $t->delete('/site/try/new') }, '200 the application');
sees('an index that goes', $hot_port, [ 'HEAD', '/dir/' ],
    sub { $t->delete('/site/dir/index.html') }, '404 ');

# Each kind of reader has its own answer of one key.
$t->put('/site/list/a', body => 'c', headers => [ [ 'x-amz-meta-m', 'm' ] ]);
ok(!ask($hot_port, 'GET', '/list/a')->{headers}{'x-amz-meta-m'},
    'a file has no metadata') for 1 .. 3;
for (1 .. 3) {
    is($t->get('/site/list/a')->{headers}{'x-amz-meta-m'}, 'm',
        'an object has');
}
is(ask($hot_port, 'GET', '/list/a')->{headers}{etag},
    $t->get('/site/list/a')->{headers}{etag}, 'and both are the same');
is($t->get('/site/list/a', sign => 0)->{status}, 403,
    'what a location may read others may not');

# --- websites ---------------------------------------------------------------------
sub open_for_all {
    my $r = $t->put('/bkt?policy', body => encode_json({
        Version => '2012-10-17',
        Statement => [ { Effect => 'Allow', Principal => '*',
            Action => 's3:GetObject', Resource => 'arn:aws:s3:::bkt/*' } ] }));
    $r->{status} == 204 or die "$r->{status} $r->{body}";
}

sub configure {
    my ($index, $more) = @_;
    my $r = $t->put('/bkt?website', body => '<WebsiteConfiguration>'
        . "<IndexDocument><Suffix>$index</Suffix></IndexDocument>"
        . '<ErrorDocument><Key>error.html</Key></ErrorDocument>'
        . "$more</WebsiteConfiguration>");
    $r->{status} == 200 or die "$r->{status} $r->{body}";
}

$t->put('/bkt');
$t->delete('/bkt?publicAccessBlock');
open_for_all();
configure('index.html', '<RoutingRules><RoutingRule><Condition>'
    . '<KeyPrefixEquals>old/</KeyPrefixEquals></Condition><Redirect>'
    . '<ReplaceKeyPrefixWith>new/</ReplaceKeyPrefixWith></Redirect>'
    . '</RoutingRule></RoutingRules>');
my %pages = ('index.html' => 'home', 'folder/index.html' => 'folder',
    'page' => 'page', 'error.html' => 'error', 'old/page' => 'old',
    'other.html' => 'other home');
$t->put("/bkt/$_", body => $pages{$_}, headers => [
    [ 'Content-Type', 'text/html; charset=utf-8' ], [ 'x-amz-meta-a', 'b' ] ])
    for sort keys %pages;
$t->put('/bkt/moved', headers => [
    [ 'x-amz-website-redirect-location', '/page' ] ]);

for (
    [ 1, 'GET', '/' ],
    [ 1, 'HEAD', '/' ],
    [ 1, 'GET', '/folder/' ],
    [ 0, 'GET', '/folder' ],
    [ 1, 'GET', '/page', [ 'Range', 'bytes=1-2' ] ],
    [ 1, 'HEAD', '/page', [ 'Range', 'bytes=1-2' ] ],
    [ 0, 'GET', '/page', [ 'Range', 'bytes=9-' ] ],
    [ 1, 'GET', '/page', [ 'If-None-Match', '*' ] ],
    [ 1, 'GET', '/folder/', [ 'If-None-Match', '"no"' ] ],
    [ 0, 'GET', '/page', [ 'If-Match', '"no"' ] ],
    [ 1, 'GET', '/page?query=any' ],
    [ 0, 'GET', '/old/page' ],
    [ 0, 'GET', '/moved' ],
    [ 0, 'GET', '/none' ],
    [ 0, 'POST', '/page' ],
    [ 0, 'GET', '/page', [ 'Origin', 'http://a' ] ],
) {
    my ($hot, @request) = @$_;
    my $what = join ' ', 'website:', @request[0, 1],
        map { @$_ } @request[2 .. $#request];
    my $r = warm($web_port, @request);
    is(is_hot($r), !!$hot, "$what: " . ($hot ? 'hot' : 'asked'));
    is(shown($r), shown(ask($asking_web_port, @request)), "$what: the same");
}

sees('website: PUT', $web_port, [ 'GET', '/' ],
    sub { $t->put('/bkt/index.html', body => 'two') }, '200 two');
sees('website: a configuration', $web_port, [ 'GET', '/' ],
    sub { configure('other.html', '') }, '200 other home');
sees('website: a key of a folder', $web_port, [ 'GET', '/' ],
    sub { $t->delete('/bkt/other.html') }, '403 error');
sees('website: an object that redirects', $web_port, [ 'GET', '/page' ],
    sub { $t->put('/bkt/page', headers => [
        [ 'x-amz-website-redirect-location', '/old/page' ] ]) }, '301 ');
sees('website: a policy that goes', $web_port, [ 'HEAD', '/old/page' ],
    sub { $t->delete('/bkt?policy') }, '403 ');
open_for_all();
sees('website: no website any more', $web_port, [ 'HEAD', '/old/page' ],
    sub { $t->delete('/bkt?website') }, '404 ');

$t->done();
