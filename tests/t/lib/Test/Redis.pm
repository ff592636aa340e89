package Test::Redis;

# A real redis-server for the end-to-end tests. Its protocol is small enough
# to be spoken here: one command, one reply.
#
#   my $redis = Test::Redis->new($t, 'a')->start();
#   $redis->ask('XLEN', 'stream');
#   $redis->events('stream');

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET;
use IO::Socket::UNIX;
use JSON::PP;
use Test::More;

our @EXPORT_OK = qw(read_reply);

# Without a port it listens on a Unix socket. Options: port; password of the
# default user; sentinel => 1; conf => [ lines ].
sub new {
    my ($class, $t, $name, %options) = @_;
    return bless { t => $t, name => $name, conf => [], %options }, $class;
}

# As s3d.conf names it.
sub address {
    my ($self) = @_;
    return $self->{port} ? "127.0.0.1:$self->{port}"
        : 'unix:' . $self->_socket();
}

sub _socket {
    my ($self) = @_;
    return $self->{t}->dir() . "/$self->{name}.sock";
}

sub start {
    my ($self) = @_;
    my ($t, $name) = @$self{qw(t name)};
    my $dir = $t->dir() . "/$name";
    mkdir $dir;
    my $file = $t->write_file("$name/redis.conf", join "\n",
        'port ' . ($self->{port} // 0),
        $self->{port} ? () : 'unixsocket ' . $self->_socket(),
        defined $self->{password} ? "requirepass $self->{password}" : (),
        "dir $dir", 'save ""', @{ $self->{conf} }, '');
    $t->spawn("redis-$name", 'redis-server', $file,
        $self->{sentinel} ? '--sentinel' : ());
    $t->wait_for("redis $name", sub { $self->connect() });
    return $self;
}

sub stop {
    my ($self) = @_;
    $self->{t}->stop("redis-$self->{name}", 'KILL');
}

sub kill {
    my ($self, $signal) = @_;
    CORE::kill $signal, $self->{t}{pids}{"redis-$self->{name}"};
}

sub connect {
    my ($self) = @_;
    return $self->{port} ? IO::Socket::INET->new($self->address())
        : IO::Socket::UNIX->new(Peer => $self->_socket());
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

sub write_command {
    my ($s, @words) = @_;
    print $s '*' . @words . "\r\n",
        map { '$' . length($_) . "\r\n$_\r\n" } @words;
    $s->flush();
}

# A connection on which a command was sent: its reply is read by read_reply().
sub send {
    my ($self, @words) = @_;
    my $s = $self->connect() or die "redis $self->{name}: $!";
    if (defined $self->{password}) {
        write_command($s, 'AUTH', $self->{password});
        read_reply($s);
    }
    write_command($s, @words);
    return $s;
}

sub ask {
    my ($self, @words) = @_;
    return read_reply($self->send(@words));
}

# A stream's events: [ id, record ], ...; the test event has no record.
sub events {
    my ($self, $stream) = @_;
    my $list = $self->ask('XRANGE', $stream, '-', '+');
    return map { [ $_->[0], decode_json($_->[1][1])->{Records}[0] ] }
        grep { $_->[1][0] eq 'event' } @$list;
}

# What happened to keys with this prefix: "ObjectCreated:Put key", ...
sub told {
    my ($self, $stream, $prefix) = @_;
    return map { "$_->{eventName} $_->{s3}{object}{key}" }
        grep { $_ && $_->{s3}{object}{key} =~ /^\Q$prefix\E/ }
        map { $_->[1] } $self->events($stream);
}

# The same of all kinds together, once there are so many.
sub wait_told {
    my ($self, $stream, $prefix, $count) = @_;
    my @told;
    $self->{t}->wait_for("$count events of $prefix", sub {
        @told = $self->told($stream, $prefix);
        return @told >= $count;
    });
    return join ', ', @told;
}

# --- s3d's side --------------------------------------------------------------
# The element of a configuration that tells this target, whose name is the
# prefix of its keys.
sub rule {
    my ($account, $name, $kind) = @_;
    my ($element, $arn, $service) = ($kind // '') eq 'pubsub'
        ? qw(TopicConfiguration Topic sns) : qw(QueueConfiguration Queue sqs);
    return "<$element><Id>$name</Id>"
        . "<$arn>arn:aws:$service:us-east-1:$account:$name</$arn>"
        . '<Event>s3:ObjectCreated:*</Event><Event>s3:ObjectRemoved:*</Event>'
        . '<Filter><S3Key><FilterRule><Name>prefix</Name>'
        . "<Value>$name/</Value></FilterRule></S3Key></Filter></$element>";
}

# A bucket of this name tells each target [ name, kind ] of its keys.
sub configure {
    my ($t, $bucket, @targets) = @_;
    my ($account) = map { $_->{number} }
        @{ $t->ctl(qw(account list))->{accounts} };
    is($t->put("/$bucket")->{status}, 200, 'a bucket');
    my $r = $t->put("/$bucket?notification", body =>
        '<NotificationConfiguration>'
        . join('', map { rule($account, @$_) } @targets)
        . '</NotificationConfiguration>');
    is($r->{status}, 200, 'the configuration is put') or diag $r->{body};
}

# What s3ctl says of a target.
sub status {
    my ($t, $name) = @_;
    my ($status) = grep { $_->{name} eq $name }
        @{ $t->ctl(qw(events status))->{events} };
    return $status;
}

1;
