#!/usr/bin/perl

# s3_console: the files that are in the module, with headers that hold back
# everything else; nothing of s3d is behind it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256_hex);
use File::Basename qw(basename);
use Test::More;
use Test::S3;

my $t = Test::S3->new(server => 'location /_console/ { s3_console; }')->run();

sub ask {
    my ($method, $uri, $headers) = @_;
    return $t->request($method, $uri, sign => 0, headers => $headers || []);
}

sub file {
    my ($path) = @_;
    open my $f, '<:raw', $path or die "$path: $!";
    local $/;
    return <$f>;
}

my %types = (html => 'text/html; charset=utf-8', css => 'text/css; charset=utf-8',
    js => 'text/javascript; charset=utf-8', svg => 'image/svg+xml');
my $files = "$FindBin::Bin/../../console";

for my $path (glob "$files/*") {
    my $name = basename($path);
    my $r = ask('GET', "/_console/$name");
    my ($kind) = $name =~ /([a-z]+)$/;
    my $body = file($path);
    is_deeply([ $r->{status}, $r->{headers}{'content-type'},
        $r->{headers}{etag}, sha256_hex($r->{body}) ],
        [ 200, $types{$kind}, '"' . substr(sha256_hex($body), 0, 32) . '"',
            sha256_hex($body) ], $name);
}

my $r = ask('GET', '/_console/');
is($r->{body}, file("$files/index.html"), 'the page');
is_deeply({ map { $_ => $r->{headers}{$_} } qw(cache-control
    content-security-policy x-content-type-options referrer-policy
    cross-origin-opener-policy cross-origin-resource-policy) }, {
    'cache-control' => 'no-cache',
    'content-security-policy' => "default-src 'none'; script-src 'self'; "
        . "style-src 'self'; img-src 'self'; media-src 'self'; "
        . "connect-src 'self'; base-uri 'none'; form-action 'none'; "
        . "frame-ancestors 'none'; require-trusted-types-for 'script'; "
        . 'trusted-types s3-xml',
    'x-content-type-options' => 'nosniff',
    'referrer-policy' => 'no-referrer',
    'cross-origin-opener-policy' => 'same-origin',
    'cross-origin-resource-policy' => 'same-origin',
}, 'its headers');
unlike($r->{body}, qr/<script>|<style|style=|\son[a-z]+=|https?:/,
    'nothing inline, nothing from elsewhere');

is(ask('GET', '/_console/', [ [ 'If-None-Match' => $r->{headers}{etag} ] ])->{status},
    304, 'it is known');
my $head = ask('HEAD', '/_console/');
is_deeply([ @$head{qw(status body)}, $head->{headers}{'content-length'} ],
    [ 200, '', length $r->{body} ], 'HEAD');
is(ask('POST', '/_console/')->{status}, 405, 'POST');
is(ask('GET', "/_console/$_")->{status}, 404, "no $_")
    for qw(status none app.css/ x/app.css);
$r = ask('GET', '/_console');
is($r->{status}, 301, 'without the slash');
like($r->{headers}{location}, qr{/_console/$}, 'nginx redirects');

my $good = $t->nginx_conf();
for my $location ('= /_console/', '~ /_console/', '/_console', '@console') {
    (my $text = $good) =~ s{location /_console/}{location $location};
    my ($status, $output) = $t->test_config($text);
    isnt($status, 0, "location $location is refused");
    like($output, qr/s3_console" directive requires a location/, 'with a reason');
}
for my $beside ('s3_console;', 's3_status s3d;', 's3_pass s3d;') {
    (my $text = $good) =~ s/s3_console;/s3_console; $beside/;
    my ($status, $output) = $t->test_config($text);
    isnt($status, 0, "beside $beside refused");
    like($output, qr/duplicate/, 'it is one too many');
}

$t->done();
