#!/usr/bin/perl

# Events into a Redis Cluster whose node is not the one that was named, and
# into a master that sentinels replace.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Redis;
use Test::S3;

plan(skip_all => 'redis-server is not installed')
    unless grep { -x "$_/redis-server" } split /:/, $ENV{PATH};

my $t = Test::S3->new();
my $dir = $t->dir();

sub redis {
    my ($name, @conf) = @_;
    return Test::Redis->new($t, $name, port => Test::S3::free_port(),
        conf => \@conf)->start();
}

sub password {
    my ($word) = @_;
    chmod 0600, $t->write_file('password', "$word\n");
}

my %bus = map { $_ => Test::S3::free_port() } qw(one two);
my ($one, $two) = map {
    redis($_, 'cluster-enabled yes', "cluster-config-file $dir/$_/nodes",
        "cluster-port $bus{$_}", 'cluster-require-full-coverage no')
} qw(one two);
my $main = redis('main', 'repl-diskless-sync-delay 0');
my $replica = redis('replica', "replicaof 127.0.0.1 $main->{port}");
my $sentinel = Test::Redis->new($t, 'sentinel', port => Test::S3::free_port(),
    sentinel => 1, password => 'sentinels', conf => [
        "sentinel monitor main 127.0.0.1 $main->{port} 1",
        'sentinel down-after-milliseconds main 60000',
        'sentinel failover-timeout main 3000' ])->start();

# Only the second node has slots; the first one sends there.
is($two->ask(qw(CLUSTER ADDSLOTSRANGE 0 16383)), 'OK', 'slots');
is($one->ask('CLUSTER', 'MEET', '127.0.0.1', $two->{port}, $bus{two}), 'OK',
    'meet');
$t->wait_for('the cluster', sub {
    $one->ask('XLEN', 'cluster')
        =~ /^error: MOVED \d+ 127.0.0.1:$two->{port}$/;
});
$t->wait_for('the replica', sub {
    $replica->ask('INFO', 'replication') =~ /master_link_status:up/;
});
$t->wait_for('the sentinel', sub {
    grep { grep { $_ eq $replica->{port} } @$_ }
        @{ $sentinel->ask(qw(SENTINEL replicas main)) };
});

password('wrong');
$t->{s3d} = <<"EOF_CONF";
events = { targets = (
    { name = "cluster"; kind = "stream"; key = "cluster";
      redis = "127.0.0.1:$one->{port}"; },
    { name = "main"; kind = "stream"; key = "main";
      redis = "sentinel:main\@127.0.0.1:$sentinel->{port}";
      sentinel_password_file = "$dir/password"; }
); };
EOF_CONF
$t->run();
Test::Redis::configure($t, 'bucket', ['cluster'], ['main']);

# --- a cluster
is($t->put("/bucket/cluster/$_")->{status}, 200, 'put') for 1, 2;
is($two->wait_told('cluster', '', 2),
    'ObjectCreated:Put cluster/1, ObjectCreated:Put cluster/2', 'a cluster');

# --- the password of the sentinel
$t->wait_for('refused', sub {
    my $status = Test::Redis::status($t, 'main');
    return $status->{state} eq 'refused'
        && $status->{error} eq 'AUTH was refused: WRONGPASS';
});
password('sentinels');

# --- a failover
sub told {
    return join ', ', map { "ObjectCreated:Put main/$_" } @_;
}

is($t->put('/bucket/main/1')->{status}, 200, 'put');
is($main->wait_told('main', '', 1), told(1), 'the master');
is($replica->wait_told('main', '', 1), told(1), 'the replica');
$main->stop();
is($sentinel->ask(qw(SENTINEL SET main down-after-milliseconds 500)), 'OK',
    'which is missed soon');
is($t->put('/bucket/main/2')->{status}, 200, 'put, without a master');
is($replica->wait_told('main', '', 2), told(1, 2), 'the new master');
is($t->put('/bucket/main/3')->{status}, 200, 'put');
is($replica->wait_told('main', '', 3), told(1 .. 3), 'and on');

$_->stop() for $one, $two, $replica, $sentinel;
$t->done();
