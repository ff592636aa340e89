#!/usr/bin/perl

# Events into a real Redis: every kind of target, Redis stopped, killed and
# restarted empty, s3d killed; what s3ctl says meanwhile.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use List::Util qw(max);
use Test::More;
use Test::Redis qw(read_reply);
use Test::S3;
use Time::HiRes qw(time);

plan(skip_all => 'redis-server is not installed')
    unless grep { -x "$_/redis-server" } split /:/, $ENV{PATH};

my $t = Test::S3->new();
my $dir = $t->dir();
my $login = "username = \"s3d\"; password_file = \"$dir/password\";";
my @targets = (
    [ main => 'stream', "maxlen = 100000; $login" ],
    [ names => 'namespace', $login ],
    [ log => 'access', $login ],
    [ talk => 'pubsub', $login ],
    [ stalled => 'stream', '' ],
);

# A user with no more rights than docs/events.md gives it.
my $user = join ' ', qw(user s3d on >secret resetchannels),
    (map { $_->[1] eq 'pubsub' ? "&$_->[0]" : "~$_->[0]" } @targets),
    qw(+ping +multi +exec +xadd +xinfo|stream +xrange +publish +hset +hdel
    +rpush);
my $redis = Test::Redis->new($t, 'a', conf => [$user]);
my $other = Test::Redis->new($t, 'b');

sub password {
    my ($word) = @_;
    chmod 0600, $t->write_file('password', "$word\n");
}

sub status {
    my ($name) = @_;
    return Test::Redis::status($t, $name);
}

password('secret');
$t->{s3d} = 'events = { targets = (' . join(",\n", map {
    my ($name, $kind, $more) = @$_;
    my $address = ($name eq 'stalled' ? $other : $redis)->address();
    "{ name = \"$name\"; kind = \"$kind\"; redis = \"$address\";"
        . " key = \"$name\"; $more }"
} @targets) . '); };';
$_->start() for $redis, $other;
$t->run();
my $subscriber = $redis->send('SUBSCRIBE', 'talk');
is(read_reply($subscriber)->[0], 'subscribe', 'somebody listens');
Test::Redis::configure($t, 'bucket', @targets);

# --- a stream
$t->wait_for('the test event', sub { $redis->events('main') });
my ($test) = @{ $redis->ask('XRANGE', 'main', '-', '+') };
is(decode_json($test->[1][1])->{Event}, 's3:TestEvent', 'the test event');
is($test->[1][0], 'event', 'the field');
is($t->put('/bucket/main/a', body => 'one')->{status}, 200, 'put');
is($t->put('/bucket/main/a', body => 'three')->{status}, 200, 'put again');
is($t->delete('/bucket/main/a')->{status}, 204, 'delete');
is($redis->wait_told('main', 'main/', 3), 'ObjectCreated:Put main/a, '
    . 'ObjectCreated:Put main/a, ObjectRemoved:Delete main/a', 'in order');
my @entries = grep { $_->[1] } $redis->events('main');
is($_->[0], '0-' . hex $_->[1]{s3}{object}{sequencer}, 'the id') for @entries;
is($entries[1][1]{s3}{object}{size}, 5, 'size');

# --- a hash of what there is
is($t->put("/bucket/names/$_", body => $_)->{status}, 200, $_)
    for 'one', 'two', 'a%20b';
is($t->delete('/bucket/names/one')->{status}, 204, 'delete');
$t->wait_for('the namespace', sub {
    my %hash = @{ $redis->ask('HGETALL', 'names') };
    return join(',', sort keys %hash) eq 'bucket/names/a b,bucket/names/two';
});
my $value = decode_json($redis->ask('HGET', 'names', 'bucket/names/a b'));
is($value->{Records}[0]{s3}{object}{key}, 'names/a+b', 'its value');

# --- a list of what was done
is($t->put('/bucket/log/a', body => 'x')->{status}, 200, 'put');
is($t->delete('/bucket/log/a')->{status}, 204, 'delete');
$t->wait_for('the list', sub { $redis->ask('LLEN', 'log') == 2 });
my @log = map { decode_json($_)->[0] } @{ $redis->ask('LRANGE', 'log', 0, -1) };
is(join(',', map { $_->{Event}[0]{eventName} } @log),
    'ObjectCreated:Put,ObjectRemoved:Delete', 'in order');
is($log[0]{EventTime}, $log[0]{Event}[0]{eventTime}, 'its time');

# --- a channel
my $message = read_reply($subscriber);
is(decode_json($message->[2])->{Event}, 's3:TestEvent', 'heard the test event');
is($t->put('/bucket/talk/a', body => 'x')->{status}, 200, 'put');
$message = read_reply($subscriber);
is($message->[1], 'talk', 'the channel');
is(decode_json($message->[2])->{Records}[0]{s3}{object}{key}, 'talk/a', 'heard');

# --- Redis does not answer: nobody waits for it
$t->wait_for('test event of stalled', sub { $other->events('stalled') });
$t->pause('redis-b');
my $longest = 0;
for (1 .. 20) {
    my $began = time();
    is($t->put("/bucket/stalled/$_", body => $_)->{status}, 200, "stalled/$_");
    $longest = max($longest, time() - $began);
}
cmp_ok($longest, '<', 4, 'each in less time than a timeout');
is($t->put('/bucket/main/b', body => 'x')->{status}, 200, 'another target');
is($redis->wait_told('main', 'main/b', 1), 'ObjectCreated:Put main/b', 'goes on');
my $status = status('stalled');
is($status->{backlog}, 20, 'they wait');
cmp_ok($status->{lag_ms}, '>', 0, 'and how long');
$t->wait_for('none of the other', sub { status('main')->{backlog} == 0 });
$other->kill('CONT');
is($other->wait_told('stalled', 'stalled/', 20),
    join(', ', map { "ObjectCreated:Put stalled/$_" } 1 .. 20), 'all came');
$t->wait_for('no backlog', sub { status('stalled')->{backlog} == 0 });

# --- Redis dies, and comes back empty
$redis->stop();
is($t->put("/bucket/main/c$_", body => $_)->{status}, 200, "main/c$_")
    for 1 .. 10;
$t->wait_for('why', sub { # first that the connection broke
    (status('main')->{error} // '') =~ /refused|No such file/;
});
is(status('main')->{state}, 'retrying', 'it is tried again');
is(status('main')->{backlog}, 10, 'they wait');
$redis->start();
is($redis->wait_told('main', 'main/', 10),
    join(', ', map { "ObjectCreated:Put main/c$_" } 1 .. 10), 'all came');

# --- s3d dies meanwhile
$redis->stop();
is($t->put("/bucket/main/d$_", body => $_)->{status}, 200, "main/d$_")
    for 1 .. 5;
$t->stop('s3d', 'KILL');
$redis->start();
$t->start_s3d(); # what it told last it may tell again
is($redis->wait_told('main', 'main/d', 5),
    join(', ', map { "ObjectCreated:Put main/d$_" } 1 .. 5), 'all came');

# --- another writer: nothing is lost, the ids go on above his
my $foreign = $redis->ask('XADD', 'main', '*', 'other', '1');
is($t->put('/bucket/main/e', body => 'x')->{status}, 200, 'put');
$t->wait_for('main/e', sub {
    my ($last) = @{ $redis->ask('XREVRANGE', 'main', '+', '-', 'COUNT', 1) };
    return $last->[1][0] eq 'event' && $last->[1][1] =~ m{"main/e"};
});
my ($last) = @{ $redis->ask('XREVRANGE', 'main', '+', '-', 'COUNT', 1) };
is((split /-/, $last->[0])[0], (split /-/, $foreign)[0], 'above his');

# --- Redis has another password: it is told so, but not the password
$redis->ask(qw(ACL SETUSER s3d resetpass >another));
$redis->ask(qw(CLIENT KILL USER s3d));
$t->wait_for('refused', sub { status('main')->{state} eq 'refused' });
like(status('main')->{error}, qr/^AUTH was refused: WRONGPASS/, 'and why');
unlike($t->read_file('s3d.log'), qr/secret/, 'no password in the log');
my $build = Test::S3::build();
like(scalar `$build/s3ctl -s $dir/admin.sock events status`,
    qr/^main +stream +refused .*\n +last error: AUTH was refused: WRONGPASS/m, 'for people');
is(ref $t->ctl('status')->{events}, 'ARRAY', 'in status too');

# --- somebody sees to it, and need not tell s3d
is($t->put('/bucket/main/f', body => 'x')->{status}, 200, 'put meanwhile');
password('another');
is($redis->wait_told('main', 'main/f', 1), 'ObjectCreated:Put main/f',
    'with the new password');
$t->wait_for('ready', sub { status('main')->{state} eq 'ready' });
$redis->ask(qw(ACL SETUSER s3d -xadd));
is($t->put('/bucket/main/g', body => 'x')->{status}, 200, 'put');
$t->wait_for('refused', sub { status('main')->{state} eq 'refused' });
like(status('main')->{error}, qr/^NOPERM /, 'a right is missing');
$redis->ask(qw(ACL SETUSER s3d +xadd));
is($redis->wait_told('main', 'main/g', 1), 'ObjectCreated:Put main/g',
    'with the right');

$_->stop() for $redis, $other;
$t->done();
