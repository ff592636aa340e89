#!/usr/bin/perl

# Events into a Redis Cluster whose node is not the one that was named, and
# into a master that sentinels replace.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use JSON::PP;
use Test::More;
use Test::S3;

plan(skip_all => 'redis-server is not installed')
    unless grep { -x "$_/redis-server" } split /:/, $ENV{PATH};

my $t = Test::S3->new();
my $dir = $t->dir();

# Ports of a cluster's bus are 10000 above.
sub low_port {
    for (1 .. 100) {
        my $port = 20000 + int rand 20000;
        my @free = grep { IO::Socket::INET->new(Listen => 1,
            LocalAddr => '127.0.0.1', LocalPort => $_) } $port, $port + 10000;
        return $port if @free == 2;
    }
    die 'no free ports';
}

my %port = map { $_ => low_port() } qw(one two main replica sentinel);

sub redis_start {
    my ($name, @options) = @_;
    mkdir "$dir/$name";
    my $conf = $t->write_file("$name/redis.conf", join "\n",
        "port $port{$name}", "dir $dir/$name", 'save ""', @options, '');
    $t->spawn("redis-$name", 'redis-server', $conf,
        $name eq 'sentinel' ? '--sentinel' : ());
    $t->wait_for("redis $name", sub {
        IO::Socket::INET->new("127.0.0.1:$port{$name}");
    });
}

sub redis {
    my ($name, @words) = @_;
    open my $p, '-|', 'redis-cli', '-p', $port{$name}, @words or die $!;
    local $/;
    my $answer = <$p>;
    close $p;
    $answer =~ s{\s+\z}{};
    return $answer;
}

sub told {
    my ($name, $stream) = @_;
    return join ' ', redis($name, 'XRANGE', $stream, '-', '+')
        =~ /"key":"([^"]*)"/g;
}

sub wait_told {
    my ($name, $stream, $expected) = @_;
    $t->wait_for("$stream: $expected", sub { told($name, $stream) eq $expected });
    pass("$stream: $expected");
}

redis_start($_, 'cluster-enabled yes', "cluster-config-file $dir/$_/nodes",
    'cluster-require-full-coverage no') for qw(one two);
redis_start('main', 'repl-diskless-sync-delay 0');
redis_start('replica', "replicaof 127.0.0.1 $port{main}");
redis_start('sentinel', "sentinel monitor main 127.0.0.1 $port{main} 1",
    'sentinel down-after-milliseconds main 500',
    'sentinel failover-timeout main 3000');

# Only the second node has slots; the first one sends there.
is(redis('two', qw(CLUSTER ADDSLOTSRANGE 0 16383)), 'OK', 'slots');
is(redis('one', 'CLUSTER', 'MEET', '127.0.0.1', $port{two}), 'OK', 'meet');
$t->wait_for('the cluster', sub {
    redis('one', 'XLEN', 'cluster') =~ /^MOVED \d+ 127.0.0.1:$port{two}$/;
});
$t->wait_for('the replica', sub {
    redis('replica', 'INFO', 'replication') =~ /master_link_status:up/;
});
$t->wait_for('the sentinel', sub {
    redis('sentinel', qw(SENTINEL replicas main)) =~ /$port{replica}/;
});

$t->{s3d} = <<"EOF_CONF";
events = { targets = (
    { name = "cluster"; kind = "stream"; key = "cluster";
      redis = "127.0.0.1:$port{one}"; },
    { name = "main"; kind = "stream"; key = "main";
      redis = "sentinel:main\@127.0.0.1:$port{sentinel}"; }
); };
EOF_CONF
$t->run();
my ($account) = map { $_->{number} } @{ $t->ctl(qw(account list))->{accounts} };
is($t->put('/bucket')->{status}, 200, 'a bucket');
is($t->put('/bucket?notification', body => '<NotificationConfiguration>'
    . join('', map { '<QueueConfiguration>'
        . "<Queue>arn:aws:sqs:us-east-1:$account:$_</Queue>"
        . '<Event>s3:ObjectCreated:*</Event><Filter><S3Key><FilterRule>'
        . "<Name>prefix</Name><Value>$_/</Value></FilterRule></S3Key></Filter>"
        . '</QueueConfiguration>' } qw(cluster main))
    . '</NotificationConfiguration>')->{status}, 200, 'a configuration');

# --- a cluster
is($t->put("/bucket/cluster/$_")->{status}, 200, 'put') for 1, 2;
wait_told('two', 'cluster', 'cluster/1 cluster/2');

# --- a failover
is($t->put('/bucket/main/1')->{status}, 200, 'put');
wait_told('main', 'main', 'main/1');
$t->wait_for('the replica has it', sub { told('replica', 'main') eq 'main/1' });
$t->stop('redis-main', 'KILL');
is($t->put('/bucket/main/2')->{status}, 200, 'put, without a master');
wait_told('replica', 'main', 'main/1 main/2');
is($t->put('/bucket/main/3')->{status}, 200, 'put');
wait_told('replica', 'main', 'main/1 main/2 main/3');

$t->stop("redis-$_", 'KILL') for qw(one two replica sentinel);
$t->done();
