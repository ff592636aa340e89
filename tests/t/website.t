#!/usr/bin/perl

# The endpoint of websites, beside the tables of S3's documentation: "Configuring
# an index document", "Amazon S3 HTTP response codes", "Routing rules examples".

use strict;
use warnings;

use Digest::MD5 qw(md5_base64 md5_hex);
use FindBin;
use IO::Socket::INET;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my ($port, $tls_port) = (Test::S3::free_port(), Test::S3::free_port());
my $domain = 's3-website.example.test';
my $t = Test::S3->new();
my $certificate = $t->self_signed();
$t->{http} = <<"EOF";
    server {
        listen 127.0.0.1:$port;
        listen 127.0.0.1:$tls_port ssl http2;
        $certificate
        location / {
            s3_website s3d;
            s3_domain example.test $domain;
        }
        location /few/ {
            limit_except GET { deny all; }
            s3_website s3d;
        }
        location = /down { s3_website unix:$t->{dir}/nobody.sock; }
    }
EOF
$t->run();

sub ask {
    my ($method, $host, $target, @headers) = @_;
    my $socket = IO::Socket::INET->new("127.0.0.1:$port") or die "connect: $!";
    return $t->request($method, $target, sign => 0, socket => $socket,
        host => $host, headers => \@headers);
}

# "status location": what a visitor of the bucket is told.
sub told {
    my ($bucket, $target, @headers) = @_;
    my $r = ask('GET', "$bucket.$domain", $target, @headers);
    return join ' ', $r->{status}, $r->{headers}{location} // ();
}

# The same over HTTP/2 and TLS, which redirects then keep: pairs of target and
# what a visitor is told.
sub told_h2 {
    my ($bucket, $what, @pairs) = @_;
    my (@targets, @expected);
    while (my ($target, $expected) = splice @pairs, 0, 2) {
        push @targets, $target;
        push @expected, $expected =~ s{ http://}{ https://}r;
    }
    my @answers = $t->over_h2($tls_port,
        map { [ 'GET', "$bucket.$domain", $_ ] } @targets);
    is(join(' ', $answers[$_]{status}, $answers[$_]{headers}{location} // ()),
        $expected[$_], "HTTP/2, $what: " . substr $targets[$_], 0, 60) for 0 .. $#targets;
    return @answers;
}

sub page {
    my ($title, @items) = @_;
    return "<html>\n<head><title>$title</title></head>\n<body>\n"
        . "<h1>$title</h1>\n<ul>\n" . join('', map { "<li>$_</li>\n" } @items);
}

sub site { return '<WebsiteConfiguration>' . join('', @_) . '</WebsiteConfiguration>' }

sub open_bucket {
    my ($bucket, @actions) = @_;
    my @statements = map {
        my $resource = "arn:aws:s3:::$bucket" . ($_ eq 'ListBucket' ? '' : '/*');
        qq({"Effect":"Allow","Principal":"*","Action":"s3:$_","Resource":"$resource"})
    } @actions;
    $t->put("/$bucket");
    $t->delete("/$bucket?publicAccessBlock");
    is($t->put("/$bucket?policy", body => '{"Version":"2012-10-17","Statement":['
        . join(',', @statements) . ']}')->{status}, 204, "$bucket is open");
}

sub configure {
    my ($bucket, @parts) = @_;
    is($t->put("/$bucket?website", body => site(@parts))->{status}, 200,
        "$bucket is a website");
}

my $index = '<IndexDocument><Suffix>index.html</Suffix></IndexDocument>';
my $error = '<ErrorDocument><Key>errors/4xx.html</Key></ErrorDocument>';
sub rules {
    return '<RoutingRules>' . join('', map { "<RoutingRule>$_</RoutingRule>" } @_)
        . '</RoutingRules>';
}

# --- the configuration --------------------------------------------------------

open_bucket('site', qw(GetObject ListBucket));
my $r = $t->get('/site?website');
is("$r->{status} $r->{code}", '404 NoSuchWebsiteConfiguration', 'none yet');
$r = ask('GET', "site.$domain", '/');
is($r->{status}, 404, 'and no endpoint');
is($r->{headers}{'content-type'}, 'text/html; charset=utf-8', 'a page');
my $id = $r->{headers}{'x-amz-request-id'};
is($r->{body}, page('404 Not Found', 'Code: NoSuchWebsiteConfiguration',
    'Message: The specified bucket does not have a website configuration',
    'BucketName: site', "RequestId: $id", "HostId: $id")
    . "</ul>\n<hr/>\n</body>\n</html>\n", 'as S3 has it');
is(ask('GET', "nosuch.$domain", '/')->{headers}{'x-amz-error-code'},
    'NoSuchBucket', 'no bucket');
is(ask('GET', "nosuch.$domain", '/')->{status}, 404, 'is 404');
configure('site', $index);
is($t->get('/site?website', sign => 0)->{code}, 'AccessDenied', 'not for everybody');

# --- objects, index documents ---------------------------------------------------

my %objects = (
    'index.html' => 'home',
    'photos/index.html' => 'photos',
    'a b/index.html' => 'blank',
    'both' => 'object', 'both/index.html' => 'index',
    'folder/other.html' => 'x',
    'page.html' => '<p>page</p>',
    'errors/4xx.html' => '<p>sorry</p>',
    'x//y' => 'two slashes',
);
for my $key (sort keys %objects) {
    is($t->put('/site/' . Test::S3::uri_escape($key, '/'), body => $objects{$key},
        headers => [ [ 'Content-Type' => 'text/html' ], [ 'x-amz-meta-n' => '1' ] ])
        ->{status}, 200, "$key stored");
}
my @pages = (
    [ '/', '200', 'home' ],
    [ '/photos/', '200', 'photos' ],
    [ '/photos', '302 /photos/' ],
    [ '/a%20b', '302 /a%20b/' ],
    [ '/a%20b/', '200', 'blank' ],
    [ '/both', '200', 'object' ],
    [ '/both/', '200', 'index' ],
    [ '/folder', '404' ],
    [ '/folder/', '404' ],
    [ '/page.html', '200', '<p>page</p>' ],
    [ '/page.html?x=1&versionId=none&response-content-type=a', '200', '<p>page</p>' ],
    [ '/x//y', '200', 'two slashes' ],
    [ '//', '404' ],
    [ '/absent', '404' ],
    [ '/' . 'k' x 1025, '400' ],
);
my @answers = told_h2('site', 'GET', map { @$_[0, 1] } @pages);
for my $i (0 .. $#pages) {
    my ($target, $expected, $body) = @{ $pages[$i] };
    is(told('site', $target), $expected, substr "GET $target", 0, 60);
    next unless defined $body;
    is(ask('GET', "site.$domain", $target)->{body}, $body, 'its bytes');
    is($answers[$i]{body}, $body, 'its bytes over HTTP/2');
}
$r = ask('GET', "site.$domain", '/page.html');
is($r->{headers}{etag}, '"' . md5_hex($objects{'page.html'}) . '"', 'ETag');
is($r->{headers}{'content-type'}, 'text/html', 'Content-Type');
is($r->{headers}{'x-amz-meta-n'}, 1, 'metadata');
is(ask('GET', "SITE.$domain.:$port", '/')->{body}, 'home', 'names have no case');
$r = ask('GET', "site.$domain", '/photos');
is("$r->{headers}{'x-amz-error-code'}: $r->{headers}{'x-amz-error-message'}",
    'Found: Resource Found', 'what 302 says');
like($r->{body}, qr{^\Q${\page('302 Found', 'Code: Found', 'Message: Resource Found')}}, 'and its page');
$r = ask('GET', "site.$domain", '/folder/');
$id = $r->{headers}{'x-amz-request-id'};
is($r->{body}, page('404 Not Found', 'Code: NoSuchKey',
    'Message: The specified key does not exist.', 'Key: folder/index.html',
    "RequestId: $id", "HostId: $id") . "</ul>\n<hr/>\n</body>\n</html>\n", 'page of 404');
is($r->{headers}{'x-amz-error-detail-key'}, 'folder/index.html', 'which key');
like(ask('GET', "site.$domain", '/%3Cb%3E')->{body}, qr{Key: &lt;b&gt;</li>}, 'escaped');

# 304, 206, 412, 416, HEAD, other methods
my $etag = ask('GET', "site.$domain", '/page.html')->{headers}{etag};
is(told('site', '/page.html', [ 'If-None-Match' => $etag ]), 304, 'not modified');
is(told('site', '/page.html', [ 'If-Match' => '"x"' ]), 412, 'precondition');
is(told('site', '/page.html', [ Range => 'bytes=99-' ]), 416, 'no such range');
$r = ask('GET', "site.$domain", '/page.html', [ Range => 'bytes=3-6' ]);
is("$r->{status} $r->{body}", '206 page', 'a range');
for ([ '/', 200, 4 ], [ '/photos', 302, 0 ], [ '/absent', 404, 0 ]) {
    my ($target, $status, $length) = @$_;
    $r = ask('HEAD', "site.$domain", $target);
    is("$r->{status} $r->{headers}{'content-length'}", "$status $length", "HEAD $target");
}
for my $method (qw(POST PUT DELETE)) {
    $r = ask($method, "site.$domain", '/page.html');
    is("$r->{status} $r->{headers}{allow}", '405 GET, HEAD, OPTIONS', $method);
    like($r->{body}, qr{<li>Code: MethodNotAllowed</li>\n<li>Message: [^<]+</li>\n<li>Method: $method</li>\n<li>ResourceType: OBJECT</li>}, 'its page');
}
is(ask('POST', "site.$domain", '/few/x')->{status}, 403, 'limit_except holds');
is(ask('GET', "site.$domain", '/few/x')->{status}, 404, 'and lets others in');
$r = ask('GET', "site.$domain", '/down');
is($r->{status}, 502, 'without s3d');
like($r->{body}, qr{<center><h1>502 Bad Gateway}, 'nginx\'s page');

# --- error documents, rights ----------------------------------------------------

configure('site', $index, $error);
$r = ask('GET', "site.$domain", '/absent', [ 'If-None-Match' => '*' ],
    [ Range => 'bytes=0-0' ]);
is("$r->{status} $r->{body}", '404 <p>sorry</p>', 'the error document, all of it');
is($r->{headers}{'content-type'}, 'text/html', 'and its type');
is(join('|', map { $r->{headers}{"x-amz-error-$_"} } qw(code message detail-key)),
    'NoSuchKey|The specified key does not exist.|absent', 'for which error');
$r = ask('HEAD', "site.$domain", '/absent');
is(join('|', $r->{status}, map { $r->{headers}{$_} // '-' } qw(x-amz-error-code etag)),
    '404|NoSuchKey|-', 'none for HEAD');
$t->delete('/site/errors/4xx.html');
like(ask('GET', "site.$domain", '/absent')->{body},
    qr{</ul>\n<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n<ul>\n<li>Code: NoSuchKey</li>\n<li>Message: The specified key does not exist.</li>\n<li>Key: errors/4xx.html</li>\n</ul>\n<hr/>},
    'an error document that is not there');

open_bucket('shut', 'GetObject');
configure('shut', $index);
$t->put('/shut/in/index.html', body => 'in');
is(told('shut', '/in'), '302 /in/', 'an index needs no listing');
is(told('shut', '/absent'), 403, 'who may not list is told nothing');
$t->delete('/shut?policy');
is(told('shut', '/in/'), 403, 'nobody may read');
like(ask('GET', "shut.$domain", '/in/')->{body},
    qr{<h1>403 Forbidden</h1>\n<ul>\n<li>Code: AccessDenied</li>\n<li>Message: Access Denied</li>\n<li>RequestId}, 'page of 403');
open_bucket('www.example.org', 'GetObject');
configure('www.example.org', $index);
$t->put('/www.example.org/index.html', body => 'own');
is(ask('GET', 'www.example.org', '/')->{body}, 'own', 'a custom domain');
is(ask('GET', "www.example.org.$domain", '/')->{body}, 'own', 'and the other name');
$t->put('/www.example.org?requestPayment', body => '<RequestPaymentConfiguration>'
    . '<Payer>Requester</Payer></RequestPaymentConfiguration>');
is(ask('GET', 'www.example.org', '/')->{status}, 403, 'nobody pays');

# --- redirects of objects ---------------------------------------------------------

for ([ old => '/page.html' ], [ far => 'http://www.example.com/x?y=1#z' ]) {
    my ($key, $to) = @$_;
    $t->put("/site/$key", headers => [ [ 'x-amz-website-redirect-location' => $to ] ]);
    is(told('site', "/$key"), "301 $to", "x-amz-website-redirect-location: $to");
    is($t->get("/site/$key")->{status}, 200, 'not by the API');
}

# --- routing rules: the examples of the documentation -----------------------------

my $host = "site.$domain";
sub when { return '<Condition>' . join('', @_) . '</Condition>' }
sub prefix { return "<KeyPrefixEquals>$_[0]</KeyPrefixEquals>" }
sub code { return "<HttpErrorCodeReturnedEquals>$_[0]</HttpErrorCodeReturnedEquals>" }
sub to {
    my %o = @_;
    return '<Redirect>' . join('', map { "<$_>$o{$_}</$_>" } sort keys %o) . '</Redirect>';
}

for (
    [ 'a renamed prefix',
        [ when(prefix('docs/')) . to(ReplaceKeyPrefixWith => 'documents/') ],
        '/docs/a%20b.html' => "301 http://$host/documents/a%20b.html",
        '/docs' => '404', '/page.html' => '200' ],
    [ 'a folder that went to a page',
        [ when(prefix('images/')) . to(ReplaceKeyWith => 'folderdeleted.html') ],
        '/images/image1.jpg' => "301 http://$host/folderdeleted.html" ],
    [ 'errors to another host',
        [ when(prefix('ExamplePage.html'), code(404))
            . to(HostName => 'ec2.example.com', ReplaceKeyPrefixWith => 'report-404/') ],
        '/ExamplePage.html' => '301 http://ec2.example.com/report-404/',
        '/other' => '404' ],
    [ 'all errors, and how',
        [ when(code(404)) . to(HostName => 'h', Protocol => 'https', HttpRedirectCode => 307),
            when(prefix('page')) . to(HostName => 'never', ReplaceKeyWith => 'first') ],
        '/absent/x?y=1' => '307 https://h/absent/x?y=1',
        '/absent/' => '307 https://h/absent/',
        '/page.html' => '301 http://never/first', '/photos/' => '200' ],
    [ 'an application',
        [ when(code(404)) . to(ReplaceKeyPrefixWith => '#!/') ],
        '/deep/link' => "301 http://$host/#!/deep/link", '/' => '200' ],
    [ 'no condition',
        [ to(HostName => 'new.example.com') ],
        '/' => '301 http://new.example.com/', '/x' => '301 http://new.example.com/x' ],
) {
    my ($what, $rules, @cases) = @$_;
    configure('site', $index, rules(@$rules));
    told_h2('site', $what, @cases);
    while (my ($target, $expected) = splice @cases, 0, 2) {
        is(told('site', $target), $expected, "$what: $target");
    }
}
is(ask('GET', "$host:8080", '/x')->{headers}{location}, 'http://new.example.com/x', 'host');
configure('site', $index, rules(to(ReplaceKeyWith => 'y')));
is(ask('GET', "$host:8080", '/x')->{headers}{location}, "http://$host:8080/y",
    'the host as it was asked for');

configure('site', '<RedirectAllRequestsTo><HostName>all.example.com</HostName></RedirectAllRequestsTo>');
is(told('site', '/'), '301 http://all.example.com/', 'all requests');
is(told('site', '/page.html?y=%201'), '301 http://all.example.com/page.html?y=%201',
    'whatever is there');

# --- CORS -------------------------------------------------------------------------

configure('site', $index);
my $cors = '<CORSConfiguration><CORSRule><AllowedOrigin>http://a.test</AllowedOrigin>'
    . '<AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>';
is($t->put('/site?cors', body => $cors,
    headers => [ [ 'Content-MD5' => md5_base64($cors) . '==' ] ])->{status}, 200, 'CORS');
$r = ask('GET', $host, '/page.html', [ Origin => 'http://a.test' ]);
is($r->{headers}{'access-control-allow-origin'}, 'http://a.test', 'for the page');
$r = ask('OPTIONS', $host, '/page.html', [ Origin => 'http://a.test' ],
    [ 'Access-Control-Request-Method' => 'GET' ]);
is("$r->{status} $r->{headers}{'access-control-allow-methods'}", '200 GET', 'asked before');
for ([ 'site', [ 'http://b.test', 'GET' ], '403 Forbidden', 'AccessForbidden',
        'CORSResponse: This CORS request is not allowed.*' ],
    [ 'site', [ 'http://a.test', 'FETCH' ], '400 Bad Request', 'BadRequest',
        'Invalid Access-Control-Request-Method: FETCH' ],
    [ 'nosuch', [ 'http://a.test', 'GET' ], '403 Forbidden', 'AccessForbidden',
        'CORSResponse: Bucket not found' ])
{
    my ($bucket, $asked, $title, $code, $message) = @$_;
    $r = ask('OPTIONS', "$bucket.$domain", '/page.html', [ Origin => $asked->[0] ],
        [ 'Access-Control-Request-Method' => $asked->[1] ]);
    is("$r->{status} $r->{headers}{'content-type'}",
        substr($title, 0, 3) . ' text/html; charset=utf-8', "$bucket, @$asked: a page");
    is($r->{headers}{'x-amz-error-code'}, $code, 'its code');
    like($r->{headers}{'x-amz-error-message'}, qr/^$message$/, 'and message');
    like($r->{body}, qr{<h1>$title</h1>\n<ul>\n<li>Code: $code</li>\n<li>Message: $message</li>},
        'and both in the page');
    is($r->{headers}{'access-control-allow-origin'}, undef, 'which browsers do not show');
}

is($t->delete('/site?website')->{status}, 204, 'no website any more');
is(told('site', '/'), 404, 'nothing is served');

$t->done();
