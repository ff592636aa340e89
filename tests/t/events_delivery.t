#!/usr/bin/perl

# Events into a real Redis: every kind of target, Redis stopped, killed and
# restarted empty, s3d killed; what s3ctl says meanwhile.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::UNIX;
use JSON::PP;
use Test::More;
use Test::S3;
use Time::HiRes qw(time);

plan(skip_all => 'redis-server is not installed')
    unless grep { -x "$_/redis-server" } split /:/, $ENV{PATH};

my $dir;
my @targets = (
    [ main => 'stream', 'a', 'maxlen = 100000;' ],
    [ names => 'namespace', 'a', '' ],
    [ log => 'access', 'a', '' ],
    [ talk => 'pubsub', 'a', '' ],
    [ stalled => 'stream', 'b', '' ],
);
my $t = Test::S3->new();
$dir = $t->dir();

# A user with no more rights than docs/events.md gives it.
my @acl = (qw(--user s3d on >secret resetchannels),
    (map { $_->[1] eq 'pubsub' ? "&$_->[0]" : "~$_->[0]" } @targets),
    qw(+ping +multi +exec +xadd +xinfo|stream +xrange +publish +hset +hdel
    +rpush));
chmod 0600, $t->write_file('password', "secret\n");
$_->[3] .= "username = \"s3d\"; password_file = \"$dir/password\";"
    for grep { $_->[2] eq 'a' } @targets;
$t->{s3d} = 'events = { targets = (' . join(",\n", map {
    my ($name, $kind, $redis, $more) = @$_;
    "{ name = \"$name\"; kind = \"$kind\"; redis = \"unix:$dir/$redis.sock\";"
        . " key = \"$name\"; $more }"
} @targets) . '); };';

# --- Redis ------------------------------------------------------------------
# Small enough to be spoken here: one command, one reply.
sub redis_connect {
    my ($name) = @_;
    return IO::Socket::UNIX->new(Peer => "$dir/$name.sock");
}

sub redis_start {
    my ($name) = @_;
    $t->spawn("redis-$name", 'redis-server', '--port', 0, '--unixsocket',
        "$dir/$name.sock", '--dir', $dir, '--save', '',
        $name eq 'a' ? @acl : ());
    $t->wait_for("redis $name", sub { redis_connect($name) });
}

sub read_reply {
    my ($s) = @_;
    my $line = <$s> // die 'Redis has gone';
    $line =~ s/\r\n//;
    my ($type, $rest) = $line =~ /^(.)(.*)/;
    return "error: $rest" if $type eq '-';
    return $rest if $type =~ /[+:]/;
    return undef if $rest < 0;
    return [ map { read_reply($s) } 1 .. $rest ] if $type eq '*';
    read $s, my $bulk, $rest + 2;
    return substr $bulk, 0, $rest;
}

sub redis {
    my ($name, @words) = @_;
    my $s = redis_connect($name) or die "redis $name: $!";
    print $s '*' . @words . "\r\n",
        map { '$' . length($_) . "\r\n$_\r\n" } @words;
    $s->flush();
    return read_reply($s);
}

# A stream's events: [ [ id, record ], ... ]; the test event has none.
sub entries {
    my ($redis, $stream) = @_;
    my $list = redis($redis, 'XRANGE', $stream, '-', '+');
    return map { [ $_->[0], decode_json($_->[1][1])->{Records}[0] ] } @$list;
}

sub told {
    my ($redis, $stream, $prefix) = @_;
    return map { "$_->{eventName} $_->{s3}{object}{key}" }
        grep { $_ && $_->{s3}{object}{key} =~ /^\Q$prefix\E/ }
        map { $_->[1] } entries($redis, $stream);
}

sub wait_told {
    my ($redis, $stream, $prefix, $count) = @_;
    my @told;
    $t->wait_for("$count events of $prefix", sub {
        @told = told($redis, $stream, $prefix);
        return @told >= $count;
    });
    return join ', ', @told;
}

sub status {
    my ($name) = @_;
    my ($status) = grep { $_->{name} eq $name }
        @{ $t->ctl(qw(events status))->{events} };
    return $status;
}

redis_start('a');
redis_start('b');
$t->run();
my ($account) = map { $_->{number} }
    @{ $t->ctl(qw(account list))->{accounts} };
is($t->put('/bucket')->{status}, 200, 'a bucket');
my $rules = join '', map {
    my ($name, $kind) = @$_;
    my ($element, $arn, $service) = $kind eq 'pubsub'
        ? qw(TopicConfiguration Topic sns) : qw(QueueConfiguration Queue sqs);
    "<$element><Id>$name</Id>"
        . "<$arn>arn:aws:$service:us-east-1:$account:$name</$arn>"
        . '<Event>s3:ObjectCreated:*</Event><Event>s3:ObjectRemoved:*</Event>'
        . '<Filter><S3Key><FilterRule><Name>prefix</Name>'
        . "<Value>$name/</Value></FilterRule></S3Key></Filter></$element>"
} @targets;
my $subscriber = redis_connect('a');
print $subscriber "*2\r\n\$9\r\nSUBSCRIBE\r\n\$4\r\ntalk\r\n";
$subscriber->flush();
is(read_reply($subscriber)->[0], 'subscribe', 'somebody listens');
my $r = $t->put('/bucket?notification', body => '<NotificationConfiguration>'
    . "$rules</NotificationConfiguration>");
is($r->{status}, 200, 'the configuration is put') or diag $r->{body};

# --- a stream
$t->wait_for('the test event', sub { entries('a', 'main') });
my ($test) = @{ redis('a', 'XRANGE', 'main', '-', '+') };
is(decode_json($test->[1][1])->{Event}, 's3:TestEvent', 'the test event');
is($test->[1][0], 'event', 'the field');
is($t->put('/bucket/main/a', body => 'one')->{status}, 200, 'put');
is($t->put('/bucket/main/a', body => 'three')->{status}, 200, 'put again');
is($t->delete('/bucket/main/a')->{status}, 204, 'delete');
is(wait_told('a', 'main', 'main/', 3), 'ObjectCreated:Put main/a, '
    . 'ObjectCreated:Put main/a, ObjectRemoved:Delete main/a', 'in order');
my @entries = grep { $_->[1] } entries('a', 'main');
is($_->[0], '0-' . hex $_->[1]{s3}{object}{sequencer}, 'the id') for @entries;
is($entries[1][1]{s3}{object}{size}, 5, 'size');

# --- a hash of what there is
is($t->put("/bucket/names/$_", body => $_)->{status}, 200, $_)
    for 'one', 'two', 'a%20b';
is($t->delete('/bucket/names/one')->{status}, 204, 'delete');
$t->wait_for('the namespace', sub {
    my %hash = @{ redis('a', 'HGETALL', 'names') };
    return join(',', sort keys %hash) eq 'bucket/names/a b,bucket/names/two';
});
my $value = decode_json(redis('a', 'HGET', 'names', 'bucket/names/a b'));
is($value->{Records}[0]{s3}{object}{key}, 'names/a+b', 'its value');

# --- a list of what was done
is($t->put('/bucket/log/a', body => 'x')->{status}, 200, 'put');
is($t->delete('/bucket/log/a')->{status}, 204, 'delete');
$t->wait_for('the list', sub { redis('a', 'LLEN', 'log') == 2 });
my @log = map { decode_json($_)->[0] } @{ redis('a', 'LRANGE', 'log', 0, -1) };
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
wait_told('b', 'stalled', '', 0);
$t->wait_for('test event of stalled', sub { entries('b', 'stalled') });
kill 'STOP', $t->{pids}{'redis-b'};
my $began = time();
is($t->put("/bucket/stalled/$_", body => $_)->{status}, 200, "stalled/$_")
    for 1 .. 20;
cmp_ok(time() - $began, '<', 4, 'in less time than a timeout');
is($t->put('/bucket/main/b', body => 'x')->{status}, 200, 'another target');
is(wait_told('a', 'main', 'main/b', 1), 'ObjectCreated:Put main/b', 'goes on');
my $status = status('stalled');
is($status->{backlog}, 20, 'they wait');
cmp_ok($status->{lag_ms}, '>', 0, 'and how long');
$t->wait_for('none of the other', sub { status('main')->{backlog} == 0 });
kill 'CONT', $t->{pids}{'redis-b'};
is(wait_told('b', 'stalled', 'stalled/', 20),
    join(', ', map { "ObjectCreated:Put stalled/$_" } 1 .. 20), 'all came');
$t->wait_for('no backlog', sub { status('stalled')->{backlog} == 0 });

# --- Redis dies, and comes back empty
$t->stop('redis-a', 'KILL');
is($t->put("/bucket/main/c$_", body => $_)->{status}, 200, "main/c$_")
    for 1 .. 10;
$t->wait_for('why', sub { # first that the connection broke
    (status('main')->{error} // '') =~ /refused|No such file/;
});
is(status('main')->{state}, 'retrying', 'it is tried again');
is(status('main')->{backlog}, 10, 'they wait');
redis_start('a');
is(wait_told('a', 'main', 'main/', 10),
    join(', ', map { "ObjectCreated:Put main/c$_" } 1 .. 10), 'all came');

# --- s3d dies meanwhile
$t->stop('redis-a', 'KILL');
is($t->put("/bucket/main/d$_", body => $_)->{status}, 200, "main/d$_")
    for 1 .. 5;
$t->stop('s3d', 'KILL');
redis_start('a');
$t->start_s3d(); # what it told last it may tell again
is(wait_told('a', 'main', 'main/d', 5),
    join(', ', map { "ObjectCreated:Put main/d$_" } 1 .. 5), 'all came');

# --- another writer: nothing is lost, the ids go on above his
my $foreign = redis('a', 'XADD', 'main', '*', 'other', '1');
is($t->put('/bucket/main/e', body => 'x')->{status}, 200, 'put');
$t->wait_for('main/e', sub {
    my ($last) = @{ redis('a', 'XREVRANGE', 'main', '+', '-', 'COUNT', 1) };
    return $last->[1][0] eq 'event' && $last->[1][1] =~ m{"main/e"};
});
my ($last) = @{ redis('a', 'XREVRANGE', 'main', '+', '-', 'COUNT', 1) };
is((split /-/, $last->[0])[0], (split /-/, $foreign)[0], 'above his');

# --- Redis has another password: it is told so, but not the password
redis('a', qw(ACL SETUSER s3d resetpass >another));
redis('a', qw(CLIENT KILL USER s3d));
$t->wait_for('refused', sub { status('main')->{state} eq 'refused' });
like(status('main')->{error}, qr/^AUTH was refused: WRONGPASS/, 'and why');
unlike($t->read_file('s3d.log'), qr/secret/, 'no password in the log');
my $build = Test::S3::build();
like(scalar `$build/s3ctl -s $dir/admin.sock events status`,
    qr/^main +stream +refused .*\n +last error: AUTH was refused: WRONGPASS/m, 'for people');
is(ref $t->ctl('status')->{events}, 'ARRAY', 'in status too');

$t->stop($_) for 'redis-a', 'redis-b';
$t->done();
