#!/usr/bin/perl

# s3ctl bench and s3ctl bench drives: what they measure, and that they leave
# nothing behind, also when they are stopped.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Test::More;
use Test::S3;

my $t = Test::S3->new(drives => 3)->run();
my $dir = $t->dir();
my $s3ctl = $t->build() . "/s3ctl -s $dir/admin.sock";
$ENV{AWS_ENDPOINT_URL} = 'http://' . $t->host();
$ENV{AWS_ACCESS_KEY_ID} = $t->{access_key};
$ENV{AWS_SECRET_ACCESS_KEY} = $t->{secret_key};
delete @ENV{qw(AWS_ENDPOINT_URL_S3 AWS_PROFILE AWS_REGION AWS_SESSION_TOKEN)};

sub run_json {
    my ($words) = @_;
    my $json = `$s3ctl $words --json 2>$dir/stderr`;
    return ($? >> 8, $json ne '' ? decode_json($json) : undef);
}
sub buckets { return scalar @{ (run_json('usage'))[1]{buckets} } }

# --- an endpoint ----------------------------------------------------------------
my ($code, $bench) = run_json('bench --size 4K --size 0 --count 5 --concurrency 2');
is($code, 0, 'bench');
is(join(' ', sort keys %$bench),
    'bucket bucket_is_left concurrency errors interrupted results', 'members');
like($bench->{bucket}, qr/^s3ctl-bench-[0-9a-f]{16}$/, 'a bucket of its own');
is_deeply([ @$bench{qw(bucket_is_left concurrency errors interrupted)} ],
    [ JSON::PP::false, 2, 0, JSON::PP::false ], 'it ended well');
is_deeply([ map { "$_->{operation} " . ($_->{size} // 'all') . " $_->{requests} $_->{bytes}" }
        grep { $_->{operation} ne 'LIST' } @{ $bench->{results} } ],
    [ 'PUT 4096 5 20480', 'GET 4096 5 20480', 'PUT 0 5 0', 'GET 0 5 0', 'DELETE all 10 0' ],
    'operations');
my ($list) = grep { $_->{operation} eq 'LIST' } @{ $bench->{results} };
is("$list->{requests} $list->{errors}", '5 0', 'listed');
cmp_ok($list->{bytes}, '>', 5 * 10 * 100, 'bytes of listings');
for my $result (@{ $bench->{results} }) {
    is(join(' ', sort keys %$result),
        'bytes errors latency_ms mib_per_second operation requests requests_per_second seconds size',
        "members of $result->{operation}");
    my $ms = $result->{latency_ms};
    is(join(' ', sort keys %$ms), 'max mean p50 p95 p99', 'and of its times');
    ok(0 < $ms->{p50} && $ms->{p50} <= $ms->{p95} && $ms->{p95} <= $ms->{p99}
            && $ms->{p99} <= $ms->{max}, 'in their order');
}
is(buckets(), 0, 'it is gone');

my @lines = split /\n/, `$s3ctl bench --size 1K --duration 0.05`;
is($?, 0, 'for people');
like($lines[0], qr/^OPERATION +SIZE +REQUESTS +ERRORS +REQUESTS\/S +MIB\/S +P50 MS/, 'a table');
is(join(' ', map { (split)[0] } @lines[1 .. $#lines]), 'PUT GET LIST DELETE', 'its rows');
like($lines[1], qr/^PUT +1\.0 KiB +[1-9]\d* +0 +[\d.]+ /, 'one of them');

# --- stopped ----------------------------------------------------------------------
$t->spawn('bench', split(/ /, "$s3ctl bench --json --size 1K --duration 600"));
$t->wait_for('its bucket', sub { my $usage = (run_json('usage'))[1];
    return grep { $_->{objects} > 2 } @{ $usage->{buckets} } });
kill 'INT', $t->{pids}{bench};
$t->wait_for('its end', sub { return !$t->alive('bench') });
is($? >> 8, 4, 'not all was done');
my $stopped = decode_json($t->read_file('bench.out') =~ s/^[^{]*//r);
is("$stopped->{interrupted} $stopped->{bucket_is_left} $stopped->{errors}", '1 0 0', 'it says so');
is(join(' ', map { $_->{operation} } @{ $stopped->{results} }), 'PUT DELETE', 'what was measured');
is(buckets(), 0, 'the bucket is gone then, too');

# --- what goes wrong --------------------------------------------------------------
is((run_json('bench --count 1 --endpoint http://127.0.0.1:' . $t->free_port()))[0], 3, 'no answer');
{
    local $ENV{AWS_SECRET_ACCESS_KEY} = 'wrong';
    my ($code, $refused) = run_json('bench --count 1');
    is("$code $refused->{bucket_is_left}", '1 0', 'refused');
    like($refused->{error}, qr/^PUT: 403 SignatureDoesNotMatch: /, 'and why');
}

# A server that closes each connection in place of an answer.
pipe(my $requests, my $seen) or die;
my $mute = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die;
my $pid = fork() // die;
if ($pid == 0) {
    while (my $client = $mute->accept()) {
        my $line = <$client> // '';
        1 while (<$client> // "\r\n") ne "\r\n";
        syswrite($seen, $line);
    }
    POSIX::_exit(0);
}
close $seen;
is((run_json('bench --count 1 --endpoint http://127.0.0.1:' . $mute->sockport()))[0], 3,
    'an answer that is lost');
kill 'TERM', $pid;
waitpid $pid, 0;
my @seen = map { s/ HTTP.*//sr } <$requests>;
my ($made) = $seen[0] =~ /^PUT (.*)/;
is($seen[-1], "DELETE $made", 'the bucket that may have been made is deleted');
is(scalar(grep { /^DELETE/ } @seen), 1, 'which is tried once');

for my $wrong ('--size 1X', '--size 2G', '--count 0', '--concurrency 257', '--duration none',
    '--yes', 'more') {
    is((run_json("bench $wrong"))[0], 2, "bench $wrong");
}

# --- drives -----------------------------------------------------------------------
($code, my $drives) = run_json('bench drives --count 3 --size 100K');
is($code, 0, 'bench drives');
is("$drives->{slow} $drives->{failed}", '0 0', 'none is slow: too little was measured to tell');
is(join(' ', map { $_->{index} } @{ $drives->{drives} }), '0 1 2', 'each of them');
for my $drive (@{ $drives->{drives} }) {
    is(join(' ', sort keys %$drive),
        'directory index read_mib_per_second slow sync_ms syncs write_mib_per_second', 'members');
    is("$drive->{directory} $drive->{syncs}", "$dir/drive$drive->{index} 3", 'where it is');
    ok($drive->{sync_ms}{p50} > 0 && $drive->{write_mib_per_second} > 0, 'measured');
}
is(system("ls -A $dir/drive0 | grep -q bench") >> 8, 1, 'nothing is left on it');
rename("$dir/drive1", "$dir/away") or die;
@lines = split /\n/, `$s3ctl bench drives --count 1 --size 4K`;
is($? >> 8, 5, 'a drive that is not there');
like($lines[0], qr/^DRIVE  STATE  SYNC P50 MS  /, 'a table');
like($lines[2], qr/^ +1  - /, 'not measured');
like($lines[3], qr/^ +not measured: No such file or directory$/, 'and why');
rename("$dir/away", "$dir/drive1") or die;
is((run_json('bench drives --size 4K --size 8K'))[0], 2, 'one size');
is((run_json('bench drives --size 4095'))[0], 2, 'a size that is too small');
like($t->read_file('stderr'), qr/^s3ctl: --size is at least 4K /, 'and why');
SKIP: {
    my ($free) = `df -B1 --output=avail $dir` =~ /(\d+)/;
    skip 'a drive that large', 2 if $free > 4096 * 1e9;
    ($code, $drives) = run_json('bench drives --count 1000000000 --duration 0.001 --size 4K');
    is("$code $drives->{failed}", '5 3', 'syncs for which there is no room');
    like($drives->{drives}[0]{error}, qr/^no room to spare: /, 'and why');
}

$t->done();
