#!/usr/bin/perl

# s3_status: requests are counted exactly, also those that nginx answers in the
# end; s3d's part is there while s3d is, and nothing waits for one that is not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;
use Test::S3;

my $t = Test::S3->new(
    http => 'log_format id "$s3_request_id $status $uri";',
    location => 'access_log $dir/id.log id;',
    server => <<'EOF',
location = /status { s3_status s3d; }
location = /closed { s3_status s3d; deny all; }
location /files/ { s3_static s3d bkt; access_log $dir/id.log id; }
location /page/ {
    s3_static s3d bkt;
    error_page 404 = /instead.html;
    access_log $dir/id.log id;
}
location = /instead.html { return 200 "instead\n"; access_log $dir/id.log id; }
EOF
);
my $dir = $t->dir();
$t->{$_} =~ s/\$dir/$dir/g for qw(location server);
$t->run();

sub raw { return $t->request('GET', $_[0], sign => 0, headers => $_[1] || []) }

# "name{labels}" => value
sub metrics {
    my %metrics;
    for (split /\n/, raw('/status')->{body}) {
        next if /^#/;
        /^([a-z0-9_]+(?:\{.*\})?) (\S+)$/ or die "a line: $_";
        die "twice: $1" if exists $metrics{$1};
        $metrics{$1} = $2;
    }
    return %metrics;
}

# --- formats ------------------------------------------------------------------
my $r = raw('/status');
is($r->{status}, 200, 'the location answers');
is($r->{headers}{'content-type'}, 'text/plain; version=0.0.4; charset=utf-8',
    'as Prometheus wants it');
is($r->{headers}{'cache-control'}, 'no-store', 'nobody keeps it');
like($r->{body}, qr/^# HELP s3_up .+\n# TYPE s3_up gauge\ns3_up 1\n/, 's3_up');
$r = raw('/status?format=json');
is($r->{headers}{'content-type'}, 'application/json', 'JSON');
my $json = decode_json($r->{body});
is($json->{s3_up}{samples}[0]{value}, 1, 's3_up in JSON');
is($json->{s3d_info}{samples}[0]{labels}{version}, '0.1.0', 'labels in JSON');
$r = raw('/status', [ [ Accept => 'text/html,application/xhtml+xml,*/*;q=0.8' ] ]);
is($r->{headers}{'content-type'}, 'text/html; charset=utf-8', 'a browser gets HTML');
is($r->{headers}{'content-security-policy'},
    q(default-src 'none'; style-src 'unsafe-inline'), 'which loads nothing');
like($r->{body}, qr{<h2>s3d_drive_ok</h2>}, 'and holds all');
$r = raw('/status?format=xml');
is($r->{status}, 400, 'another format is refused');
is($t->request('HEAD', '/status', sign => 0)->{status}, 200, 'HEAD');
is($t->request('POST', '/status', sign => 0, body => 'x')->{status}, 405, 'POST');
is(raw('/closed')->{status}, 403, 'deny is nginx\'s own');

# --- counts -------------------------------------------------------------------
my %before = metrics();
is($t->put('/bkt')->{status}, 200, 'a bucket');
is($t->put("/bkt/k$_", body => 'x' x 1000)->{status}, 200, "object $_") for 1 .. 3;
is($t->get("/bkt/k1")->{status}, 200, 'read') for 1 .. 5;
is($t->get('/bkt/none')->{status}, 404, 'not there');
is($t->get('/bkt/k1', secret_key => 'wrong')->{status}, 403, 'wrong signature');
is(raw('/bkt/k1')->{status}, 403, 'anonymous');
is(raw('/files/k1')->{status}, 200, 'a file');
is(raw('/files/none')->{status}, 404, 'no file: nginx\'s page');
my $page = raw('/page/none');
is("$page->{status} $page->{body}", "200 instead\n", 'another location\'s answer');
my %after;
$t->wait_for('all are counted', sub {
    %after = metrics();
    my $count = 0;
    $count += $after{$_} - ($before{$_} // 0)
        for grep { /^s3_requests_total/ } keys %after;
    return $count >= 15;
});
my %delta = map { $_ => $after{$_} - ($before{$_} // 0) } grep { /^s3/ } keys %after;

my %requests = map { $_ => $delta{$_} } grep { /^s3_requests_total/ && $delta{$_} }
    keys %delta;
is_deeply(\%requests, {
    's3_requests_total{operation="CreateBucket",code="200"}' => 1,
    's3_requests_total{operation="PutObject",code="200"}' => 3,
    's3_requests_total{operation="GetObject",code="200"}' => 5,
    's3_requests_total{operation="GetObject",code="403"}' => 2,
    's3_requests_total{operation="GetObject",code="404"}' => 1,
    's3_requests_total{operation="GetFile",code="200"}' => 2,
    's3_requests_total{operation="GetFile",code="404"}' => 1,
}, 'every request is counted once');
is($delta{'s3_request_duration_seconds_count{operation="GetObject"}'}, 8, 'and timed');
is($delta{"s3_request_phase_duration_seconds_count{phase=\"$_\"}"}, 15, "phase $_")
    for qw(auth send);
my $hits = $delta{'s3_hot_index_requests_total{result="hit"}'};
is($hits + $delta{'s3_hot_index_requests_total{result="miss"}'}, 10,
    'the hot index: all but what is refused, files too');
cmp_ok($hits, '>', 0, 'and has answered some');
is($delta{'s3_request_phase_duration_seconds_count{phase="backend"}'}, 15 - $hits,
    'without s3d');
cmp_ok($delta{'s3_received_bytes_total{operation="PutObject"}'}, '>', 3000, 'bytes in');
cmp_ok($delta{'s3_sent_bytes_total{operation="GetObject"}'}, '>', 5000, 'bytes out');
is($delta{'s3d_requests_total{operation="GetObject"}'}, 7 - $hits,
    's3d: all others but the refused one');
cmp_ok($after{'s3d_request_phase_duration_seconds_count{phase="metadata"}'}, '>', 0,
    's3d\'s phases');
cmp_ok($after{'s3d_request_phase_duration_seconds_count{phase="drive"}'}, '>', 0,
    'drives');

# --- s3d's part ---------------------------------------------------------------
is($after{"s3d_drive_ok{drive=\"$_\"}"}, 1, "drive $_") for 0 .. 5;
cmp_ok($after{'s3d_drive_free_bytes{drive="0"}'}, '>', 0, 'space');
is($after{"s3d_metadata_mirror_ok{mirror=\"$dir/drive0/metadata\"}"}, 1, 'a mirror');
is($after{s3d_heal_queue_blobs}, 0, 'nothing is short of shards');
is($after{'s3d_reduced_blobs{losses_left="0"}'}, 0, 'or endangered');
cmp_ok($after{s3d_leveldb_memory_bytes}, '>', 0, 'LevelDB');
cmp_ok($after{s3d_resident_memory_bytes}, '>', 1e6, 'memory');
is($after{'s3d_connections{kind="control"}'}, 2, 'a control connection per worker');
my $status = $t->ctl('status')->{metrics};
is($status->{s3d_threads}[0]{value}, 64, 's3ctl status --json has the same');
is((grep { $_->{labels}{operation} eq 'PutObject' }
    @{ $status->{s3d_requests_total} })[0]{value}, 3, 'with labels');

# --- one id for all -----------------------------------------------------------
my $id = $t->get('/bkt/k2')->{headers}{'x-amz-request-id'};
like($id, qr/^[0-9A-F]{16}$/, 'a request id');
$t->wait_for('the log', sub { $t->read_file('s3d.log') =~ /"request":"$id"/ });
$t->wait_for('nginx\'s log', sub { $t->read_file('id.log') =~ m{^$id 200 /bkt/k2$}m });
pass('the client\'s, nginx\'s and s3d\'s logs share it');
like($t->read_file('id.log'), qr{^[0-9A-F]{16} 404 /files/none$}m,
    'also where nginx answers');
like($t->read_file('id.log'), qr{^[0-9A-F]{16} 200 /instead.html$}m,
    'and where another location does');

# --- without s3d --------------------------------------------------------------
$t->pause('s3d');
my %hangs = metrics();
is($hangs{s3_up}, 0, 's3d hangs: 0');
is($hangs{'s3_requests_total{operation="PutObject",code="200"}'}, 3,
    'the workers\' counters are there');
ok(!(grep { /^s3d_/ } keys %hangs), 's3d\'s are not');
kill 'CONT', $t->{pids}{s3d};
is({ metrics() }->{s3_up}, 1, 'it goes on');
is($t->stop('s3d'), 0, 's3d stops');
is({ metrics() }->{s3_up}, 0, 's3d is away');
$t->start_s3d();
$t->wait_for('s3d', sub { return { metrics() }->{s3_up} == 1 });
pass('s3d is back');

# --- reload -------------------------------------------------------------------
my @old = $t->workers();
$t->reload_nginx();
$t->wait_for_end_of(@old);
is({ metrics() }->{'s3_requests_total{operation="PutObject",code="200"}'}, 3,
    'counters outlive a reload');

$t->done();
