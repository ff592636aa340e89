package Test::Frames;

# The frames between a worker, or s3ctl, and s3d, and the messages in them: for
# tests that play one of the sides. See backend/wire/wire.h and wire.proto.

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::UNIX;
use POSIX ();

our ($HELLO, $WELCOME, $KEY_REQUEST, $KEY_REPLY, $ANSWER) = (1 .. 4, 9);
our ($REQUEST, $DATA, $CHUNK, $TRAILERS, $END) = 10 .. 14;
our ($CONTINUE, $REPLY, $SEGMENTS, $ACK, $NACK) = 20 .. 24;
our $LEAVE = 40;
our ($BODY_NONE, $BODY_DATA, $BODY_SEGMENTS) = 0 .. 2;    # of a REPLY

our %EXPORT_TAGS = (worker => [ qw($HELLO $WELCOME $KEY_REQUEST $KEY_REPLY
    $ANSWER $REQUEST $DATA $CHUNK $TRAILERS $END $CONTINUE $REPLY $SEGMENTS $ACK
    $NACK $LEAVE $BODY_NONE $BODY_DATA $BODY_SEGMENTS
    bytes frame key_reply message number read_frame reply segments welcome) ]);
our @EXPORT_OK = (qw(bytes frame message number read_frame),
    @{ $EXPORT_TAGS{worker} });

# --- frames -------------------------------------------------------------------

my @crc_table = map {
    my $c = $_;
    $c = $c & 1 ? $c >> 1 ^ 0x82f63b78 : $c >> 1 for 1 .. 8;
    $c;
} 0 .. 255;

sub crc32c {
    my $c = 0xffffffff;
    $c = $crc_table[($c ^ $_) & 255] ^ $c >> 8 for unpack 'C*', $_[0];
    return $c ^ 0xffffffff;
}

# With the sum of its payload, or another one.
sub frame {
    my ($type, $payload, $crc) = @_;
    $payload //= '';
    $crc //= $type == $DATA || $payload eq '' ? 0 : crc32c($payload);
    return pack('a2CCVV', 'S3', 1, $type, length $payload, $crc) . $payload;
}

sub read_exactly {
    my ($s, $n) = @_;
    my $data = '';
    while (length $data < $n) {
        sysread($s, $data, $n - length $data, length $data) or return;
    }
    return $data;
}

# (type, payload), or nothing at the end.
sub read_frame {
    my ($s) = @_;
    my $head = read_exactly($s, 12) // return;
    my (undef, undef, $type, $length) = unpack 'a2CCV', $head;
    my $payload = $length ? read_exactly($s, $length) // return : '';
    return ($type, $payload);
}

# --- messages -----------------------------------------------------------------

sub varint {
    my ($n) = @_;
    my $out = '';
    while ($n > 127) {
        $out .= chr($n & 127 | 128);
        $n >>= 7;
    }
    return $out . chr $n;
}

# Fields of a message, by their number.
sub number { return varint($_[0] << 3) . varint($_[1]) }
sub bytes { return varint($_[0] << 3 | 2) . varint(length $_[1]) . $_[1] }

# field number => last value
sub message {
    my ($in) = @_;
    my %fields;
    my $get = sub {
        my ($n, $shift) = (0, 0);
        while (1) {
            my $c = ord substr $in, 0, 1, '';
            $n |= ($c & 127) << $shift;
            return $n if $c < 128;
            $shift += 7;
        }
    };
    while (length $in) {
        my $tag = $get->();
        my $value = $get->();
        $value = substr $in, 0, $value, '' if ($tag & 7) == 2;
        $fields{ $tag >> 3 } = $value;
    }
    return \%fields;
}

sub reply {
    my ($status, $body, $length, @headers) = @_;
    my $out = number(1, $status);
    $out .= bytes(2, bytes(1, $_->[0]) . bytes(2, $_->[1])) for @headers;
    $out .= number(3, 1) . number(4, $length) if defined $length;
    return frame($REPLY, $out . number(5, $body));
}

# Each: drive, extent, offset, length; and device and inode, if they were
# checked.
sub segments {
    return frame($SEGMENTS, join '', map {
        my $segment = $_;
        bytes(1, join '', map { number($_ + 1, $segment->[$_]) } 0 .. $#$segment)
    } @_);
}

# One drive, number 0.
sub welcome {
    my ($directory) = @_;
    return frame($WELCOME, number(1, 1)
        . bytes(2, number(1, 0) . bytes(2, $directory)));
}

# To a KEY_REQUEST's message.
sub key_reply {
    my ($asked, $secret) = @_;
    return frame($KEY_REPLY, number(1, $asked->{1})
        . number(2, defined $secret ? 1 : 0)
        . (defined $secret
            ? bytes(3, Test::S3::signing_key($secret, $asked->{3}, $asked->{4}))
                . number(4, 7) : ''));
}

# --- a played s3d -----------------------------------------------------------------

# In place of s3d: a process for each connection, which calls $control with it
# or, if it is no control connection, $requests with it and the payload of its
# first frame.
sub play {
    my ($t, $control, $requests) = @_;
    my $path = $t->dir() . '/s3d.sock';
    my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 100)
        or die "$path: $!";
    my $pid = fork() // die;
    if ($pid == 0) {
        $SIG{TERM} = sub { POSIX::_exit(0) };
        $SIG{CHLD} = 'IGNORE';
        while (1) {
            my $s = $listener->accept() or next;
            if (fork() == 0) {
                alarm 300; # whatever it waits for, when the test is over
                my ($type, $payload) = read_frame($s);
                if (defined $type) {
                    $type == $HELLO ? $control->($s) : $requests->($s, $payload);
                }
                POSIX::_exit(0);
            }
            close $s;
        }
    }
    $t->{pids}{s3d} = $pid;
    return;
}

1;
