#!/usr/bin/perl

# Encryption at rest: every mode over TLS, defaults, rotation, restarts; and
# what must not be found: bytes on the drives, keys in logs.

use strict;
use warnings;

use Digest::MD5 qw(md5 md5_base64);
use File::Find;
use FindBin;
use IO::Socket::SSL;
use lib "$FindBin::Bin/lib";
use MIME::Base64;
use Test::More;
use Test::S3;

my $t = Test::S3->new(listen => 'ssl http2',
    s3d => 'log_level = "debug"; logging_interval = "1s";');
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
    . "-keyout $t->{dir}/key.pem -out $t->{dir}/cert.pem 2>/dev/null") == 0
    or die 'openssl';
$t->{server} = "ssl_certificate $t->{dir}/cert.pem; "
    . "ssl_certificate_key $t->{dir}/key.pem;";
my $plain_port = Test::S3::free_port();
$t->{http} = "server { listen 127.0.0.1:$plain_port; "
    . "location / { s3_pass s3d; } }";
$t->run();

{
    no warnings 'redefine';
    *Test::S3::connect = sub {
        my ($self) = @_;
        return IO::Socket::SSL->new(PeerAddr => $self->host(),
            SSL_verify_mode => SSL_VERIFY_NONE) || die "connect: $SSL_ERROR";
    };
}

my $sse = 'x-amz-server-side-encryption';
my $r;

sub customer {
    my ($key, $prefix) = @_;
    $prefix //= $sse;
    return map { [ "$prefix-customer-$_->[0]" => $_->[1] ] }
        [ algorithm => 'AES256' ],
        [ key => encode_base64($key, '') ],
        [ 'key-md5' => md5_base64($key) . '==' ];
}

my $key = 'The key of a customer: 32 bytes.';
my $other = 'The key of another one: 32 bytes';
my $marker = 'Nobody but the client may read this. ';
my $big = $marker x 40_000;
my %modes = (
    'SSE-S3' => [ [ [ $sse => 'AES256' ] ], [] ],
    'SSE-KMS' => [ [ [ $sse => 'aws:kms' ], [ "$sse-aws-kms-key-id" => 'k' ] ],
        [] ],
    'SSE-C' => [ [ customer($key) ], [ customer($key) ] ],
);

is($t->put('/bkt')->{status}, 200, 'a bucket');
ok($t->ctl('kms', 'key', 'add', 'k'), 'a key');

# --- written and read ---------------------------------------------------------

for my $mode (sort keys %modes) {
    my ($write, $read) = @{$modes{$mode}};
    is($t->put("/bkt/$mode", body => $big, headers => $write)->{status}, 200,
        "$mode: put");
    $r = $t->get("/bkt/$mode", headers => $read);
    ok($r->{body} eq $big, "$mode: get");
    $r = $t->get("/bkt/$mode",
        headers => [ @$read, [ Range => 'bytes=65000-200000' ] ]);
    is($r->{status}, 206, "$mode: a range");
    ok($r->{body} eq substr($big, 65_000, 135_001), "$mode: its bytes");
    is($t->head("/bkt/$mode", headers => $read)->{headers}{'content-length'},
        length $big, "$mode: the size of what was sent");
}
is($t->head('/bkt/SSE-S3')->{headers}{$sse}, 'AES256', 'told: SSE-S3');
$r = $t->head('/bkt/SSE-KMS');
is("$r->{headers}{$sse} $r->{headers}{\"$sse-aws-kms-key-id\"}", 'aws:kms k',
    'told: SSE-KMS');

# --- the customer's key -------------------------------------------------------

$r = $t->get('/bkt/SSE-C');
is("$r->{status} $r->{code}", '400 InvalidRequest', 'without the key');
$r = $t->get('/bkt/SSE-C', headers => [ customer($other) ]);
is("$r->{status} $r->{code}", '403 AccessDenied', 'with another one');
is($t->head('/bkt/SSE-C')->{status}, 400, 'HEAD without it');
$r = $t->put('/bkt/copy', headers => [ [ 'x-amz-copy-source' => '/bkt/SSE-C' ],
    customer($key, 'x-amz-copy-source-server-side-encryption'),
    customer($other) ]);
is($r->{status}, 200, 'a copy under another key');
ok($t->get('/bkt/copy', headers => [ customer($other) ])->{body} eq $big,
    'has the bytes');
my $url = "http://127.0.0.1:$plain_port/bkt/insecure";
my $out = qx{curl -sS --aws-sigv4 aws:amz:us-east-1:s3 --user \\
    $t->{access_key}:$t->{secret_key} -T $t->{dir}/cert.pem \\
    -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' @{[
        map { "-H '$_->[0]: $_->[1]'" } customer($key) ]} $url};
like($out, qr{<Code>InvalidRequest</Code>.*over a secure connection\.},
    'refused without TLS');

# --- defaults -----------------------------------------------------------------

my $default = '<ServerSideEncryptionConfiguration><Rule>'
    . '<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>'
    . '</ApplyServerSideEncryptionByDefault></Rule>'
    . '</ServerSideEncryptionConfiguration>';
$r = $t->get('/bkt?encryption');
is("$r->{status} $r->{code}",
    '404 ServerSideEncryptionConfigurationNotFoundError', 'no default');
is($t->put('/bkt?encryption', body => $default, headers =>
    [ [ 'Content-MD5' => encode_base64(md5($default), '') ] ])->{status}, 200,
    'a default');
like($t->get('/bkt?encryption')->{body}, qr{<SSEAlgorithm>AES256<}, 'is told');
is($t->put('/bkt/default', body => $marker)->{headers}{$sse}, 'AES256',
    'an object has it');

# --- rotation, disabled keys, a restart ---------------------------------------

ok($t->ctl('kms', 'key', 'rotate', 'k'), 'rotated');
ok($t->ctl('kms', 'key', 'rotate', 'SSE-S3'), 'and that of SSE-S3');
ok($t->get('/bkt/SSE-KMS')->{body} eq $big, 'older objects open');
ok($t->ctl('kms', 'key', 'disable', 'k'), 'disabled');
$r = $t->get('/bkt/SSE-KMS');
is("$r->{status} $r->{code}", '400 KMS.DisabledException', 'they do not');
is($t->head('/bkt/SSE-KMS')->{status}, 200, 'but are there');
ok($t->ctl('kms', 'key', 'enable', 'k'), 'enabled');
$t->stop('s3d');
$t->start_s3d();
for my $mode (sort keys %modes) {
    ok($t->get("/bkt/$mode", headers => $modes{$mode}[1])->{body} eq $big,
        "$mode: after a restart");
}

# --- what is not to be found --------------------------------------------------

$t->put('/logs');
$t->put('/bkt?logging', body => '<BucketLoggingStatus><LoggingEnabled>'
    . '<TargetBucket>logs</TargetBucket><TargetPrefix>l</TargetPrefix>'
    . '</LoggingEnabled></BucketLoggingStatus>');
$t->get('/bkt/SSE-C?logged=1', headers => [ customer($key) ]);
my @lines;
$t->wait_for('an access log', sub {
    @lines = map { $t->get("/logs/$_")->{body} }
        $t->get('/logs')->{body} =~ m{<Key>(.*?)</Key>}g;
    return grep { /logged=1/ } @lines;
});
my @secrets = ($key, encode_base64($key, ''), $other, encode_base64($other, ''));

sub found {
    my ($text, @what) = @_;
    return grep { index($text, $_) >= 0 } @what;
}

ok(!found(join('', @lines), @secrets), 'no key in the access log');
$t->stop('s3d');
my (%seen, $files);
find(sub {
    return unless -f $_ && !/\.pem$/;
    $files++;
    open my $f, '<:raw', $_ or return;
    local $/;
    my $text = <$f> // '';
    $seen{key} = $File::Find::name if found($text, @secrets);
    $seen{bytes} = $File::Find::name if found($text, $marker);
}, $t->{dir});
ok($files > 6, 'files were looked at');
is($seen{key}, undef, 'no key of a customer in any file');
is($seen{bytes}, undef, 'no byte of an object on the drives');
$t->start_s3d();

$t->done();
