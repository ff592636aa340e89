#!/usr/bin/perl

# nginx's access log as conf/nginx.conf has it: each line is JSON, whatever a
# client sends, with the request id that the client and s3d's log have.

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
$t->{server} = "access_log $dir/s3.log s3;";
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
    my $name = $request =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ger;
    ($id) = $answer =~ /x-amz-request-id: (\w+)/i;
    $line = line();
    is($line->{request}, $id // '', $name);
    is($line->{uri}, $uri, 'its URI') if defined $uri;
    is($line->{agent}, $logged, 'its agent') if defined $logged;
}

$t->done();
