#!/usr/bin/perl

# The module against an s3d that is played here: every split of the frames,
# replies that break the protocol, files that cannot be read, connections that
# end at the wrong time, keys that do not come.

use strict;
use warnings;

use FindBin;
use POSIX ();
use lib "$FindBin::Bin/lib";
use Test::Frames qw(:worker);
use Test::More;
use Test::S3;

my $secret = 'secret';
# Only what is asked for below /slow comes too late.
my $t = Test::S3->new(http => 'log_format code "$uri $s3_error_code";',
    location => 's3_buffer_size 4k;', server => <<'EOF_SERVER');
    location /slow {
        s3_pass s3d;
        s3_read_timeout 1s;
        s3_key_timeout 1s;
        s3_buffer_size 4k;
    }
EOF_SERVER
my $dir = $t->dir();
$t->{location} .= " access_log $dir/codes code;";
my $file = join '', map { pack 'N', $_ } 1 .. 500_000;    # 2,000,000 bytes

# --- the played s3d -----------------------------------------------------------

sub serve_control {
    my ($s) = @_;
    if (-e "$dir/broken") {
        $t->write_file("left.$$", '');
        syswrite $s, frame($LEAVE);
        read_frame($s);
        return;
    }
    syswrite $s, welcome("$dir/fake");
    while (my ($type, $payload) = read_frame($s)) {
        my $m = message($payload);
        return if $m->{2} eq 'AKCUT';
        next if $m->{2} eq 'AKSLOW';
        if ($m->{2} eq 'AKLEFT' && !-e "$dir/left") {
            $t->write_file('left', '');
            syswrite $s, frame($LEAVE);
            next;
        }
        if ($m->{2} eq 'AKBROKEN' && !-e "$dir/broken") {
            $t->write_file('broken', '');
            syswrite $s, frame($LEAVE);
            next;
        }
        syswrite $s, key_reply($m, $m->{2} eq 'AKNONE' ? undef : $secret);
    }
}

my $hello = reply(200, $BODY_DATA, 5) . frame($DATA, 'hello') . frame($END);
my $in_file = reply(200, $BODY_SEGMENTS, 2_000_000);

my %play = (
    plain => sub { syswrite $_[0], $hello },
    bytewise => sub {
        my $s = shift;
        syswrite $s, $_ for split //, $hello;
    },
    frames => sub {
        syswrite $_[0], reply(200, $BODY_DATA, 5)
            . join('', map { frame($DATA, $_) } split //, 'hello') . frame($END);
    },
    empty_frames => sub {
        syswrite $_[0], reply(200, $BODY_DATA, 5) . frame($DATA)
            . frame($DATA, 'hello') . frame($DATA) . frame($END);
    },
    unknown_length => sub {
        syswrite $_[0], reply(200, $BODY_DATA) . frame($DATA, 'hello')
            . frame($END);
    },
    nothing => sub { syswrite $_[0], reply(200, $BODY_NONE) . frame($END) },
    head => sub { syswrite $_[0], reply(200, $BODY_NONE, 5) . frame($END) },
    headers => sub {
        syswrite $_[0], reply(200, $BODY_DATA, 5,
            [ 'content-type', 'text/x;charset="Z"' ], [ etag => '"e"' ],
            [ 'last-modified', 'Thu, 01 Jan 1970 00:00:00 GMT' ],
            [ 'accept-ranges', 'bytes' ], [ 'x-accel-redirect', '/etc' ],
            [ 'x-amz-meta-a', 'b' ]) . frame($DATA, 'hello') . frame($END);
    },
    newline => sub {
        syswrite $_[0], reply(200, $BODY_NONE, 0, [ 'x-amz-meta-a', "b\r\nc: d" ])
            . frame($END);
    },
    name => sub {
        syswrite $_[0], reply(200, $BODY_NONE, 0, [ "x-amz-meta-a\r\nb: c\r\nd", 'e' ])
            . frame($END);
    },
    short => sub {
        syswrite $_[0], reply(200, $BODY_DATA, 10) . frame($DATA, 'hello')
            . frame($END);
    },
    long => sub {
        syswrite $_[0], reply(200, $BODY_DATA, 3) . frame($DATA, 'hello')
            . frame($END);
    },
    cut => sub {
        syswrite $_[0], reply(200, $BODY_DATA, 10) . frame($DATA, 'hello');
        return 'close';
    },
    cut_chunked => sub {
        syswrite $_[0], reply(200, $BODY_DATA) . frame($DATA, 'hello');
        return 'close';
    },
    garbage => sub { syswrite $_[0], 'GARBAGE' x 10; return 'close' },
    crc => sub { syswrite $_[0], frame($REPLY, number(1, 200), 1) },
    early_data => sub { syswrite $_[0], frame($DATA, 'x') },
    status => sub { syswrite $_[0], reply(100, $BODY_NONE) . frame($END) },
    huge => sub { syswrite $_[0], pack 'a2CCVV', 'S3', 1, $REPLY, 1 << 30, 0 },
    close => sub { return 'close' },
    version => sub {
        syswrite $_[0], pack 'a2CCVV', 'S3', 9, $LEAVE, 0, 0;
        return 'close';
    },
    leave => sub { syswrite $_[0], frame($LEAVE) . $hello . frame($LEAVE) },
    late_leave => sub {
        syswrite $_[0], reply(200, $BODY_DATA, 5) . frame($LEAVE);
    },
    stall => sub { },
    trailing => sub { syswrite $_[0], $hello . frame($CONTINUE) },
    retry => sub {
        return 'close' if $_[1] > 1;    # on a connection that was kept
        syswrite $_[0], $hello;
    },
    windows => sub {
        my ($s) = @_;
        my $out = $in_file;
        for (my $at = 0; $at < 2_000_000; $at += 500_000) {
            my $half = $at + 123_457;
            syswrite $s, $out . segments([ 0, 1, $at, 123_457 ],
                [ 0, 257, $half, 500_000 - 123_457 - 5 ])
                . frame($DATA, substr $file, $at + 499_995, 5);
            my ($type) = read_frame($s);
            return 'close' if $type != $ACK;
            $out = '';
        }
        syswrite $s, frame($END);
    },
    nack => sub {
        my ($s, undef, @segment) = @_;
        @segment = (99, 1, 0, 5) unless @segment;
        syswrite $s, reply(200, $BODY_SEGMENTS, 5)
            . segments([ 0, 1, 0, 5 ], [@segment]);
        my ($type) = read_frame($s);
        return 'close' if $type != $NACK;
        syswrite $s, frame($DATA, 'hello') . frame($END);
    },
);
# END leaves with the last segments, before s3d knows whether they are taken.
$play{end_ahead} = sub {
    my ($s) = @_;
    syswrite $s, $in_file . segments([ 0, 1, 0, 2_000_000 ]) . frame($END);
    my ($type) = read_frame($s);
    return 'close' if $type != $ACK;
};
# More than lies in sockets.
my $large = $file x 8;
$play{large} = sub {
    my ($s) = @_;
    syswrite $s, reply(200, $BODY_SEGMENTS, length $large)
        . segments(([ 0, 1, 0, 2_000_000 ]) x 8) . frame($END);
    my ($type) = read_frame($s);
    return 'close' if $type != $ACK;
};
$play{nack_ahead} = sub {
    my ($s) = @_;
    syswrite $s, reply(200, $BODY_SEGMENTS, 5) . segments([ 99, 1, 0, 5 ])
        . frame($END);
    my ($type) = read_frame($s);
    return 'close' if $type != $NACK;
    syswrite $s, frame($DATA, 'hello') . frame($END);
};
# A copy that takes long: its reply begins early, and goes on step by step.
POSIX::mkfifo("$dir/step", 0600) or die "step: $!";
$play{early} = sub {
    my ($s) = @_;
    syswrite $s, reply(200, $BODY_DATA, undef,
        [ 'content-type', 'application/xml' ]) . frame($DATA, '<?xml?>');
    for my $next (frame($DATA, ' '),
        frame($DATA, '<Error><Code>SlowDown</Code></Error>') . frame($END))
    {
        open my $step, '<', "$dir/step" or return 'close';
        readline $step;
        close $step; # or the next one who opens it to write meets this one
        syswrite $s, $next;
    }
};
$play{beyond} = sub { $play{nack}->(@_[0, 1], 0, 1, 1_999_999, 2) };
$play{zero} = sub { $play{nack}->(@_[0, 1], 0, 1, 0, 0) };
$play{overflow} = sub { $play{nack}->(@_[0, 1], 0, 1, 1 << 62, 5) };
$play{gone} = sub { $play{nack}->(@_[0, 1], 0, 5, 0, 5) };

sub serve_requests {
    my ($s, $payload) = @_;
    my $count = 0;
    while (defined $payload) {
        my $m = message($payload);
        my ($type, $data) = (0, '');
        my @seen;
        if ($m->{4} eq 'refused') {
            syswrite $s, reply(403, $BODY_NONE) . frame($END);
        }
        while ($type != $END) {
            ($type, $data) = read_frame($s) or return;
            push @seen, "$type:" . length $data;
        }
        if ($m->{1} == 254) {    # REFUSED: s3d has the last word on headers
            my $refusal = message($m->{33});
            syswrite $s, reply(403, $BODY_DATA, length $refusal->{3},
                [ 'x-refused', $refusal->{2} ])
                . frame($DATA, $refusal->{3}) . frame($END);
            $payload = (read_frame($s))[1];
            next;
        }
        if ($m->{4} eq 'seen') {
            my $text = join ' ', $m->{8} // 0, $m->{11} // 0, @seen;
            syswrite $s, reply(200, $BODY_DATA, length $text)
                . frame($DATA, $text) . frame($END);
        } elsif ($m->{4} ne 'refused') {
            my $end = $play{ $m->{4} }->($s, ++$count);
            return if ($end // '') eq 'close';
        }
        (undef, $payload) = read_frame($s);
    }
}

mkdir "$dir/fake";
mkdir "$dir/fake/extents";
for my $name ('01/0000000000000001', '01/0000000000000101') {
    mkdir "$dir/fake/extents/01";
    $t->write_file("fake/extents/$name", $file);
}
Test::Frames::play($t, \&serve_control, \&serve_requests);
@$t{qw(access_key secret_key)} = ('AKGOOD', $secret);
$t->start_nginx();

# --- replies ---------------------------------------------------------------------

my ($r, $socket);

for my $key (qw(plain bytewise frames empty_frames unknown_length trailing retry
    leave nack nack_ahead beyond zero overflow gone)) {
    for (1 .. 3) {
        $r = $t->get("/bkt/$key");
        is("$r->{status} $r->{body}", '200 hello', "$key, time $_");
    }
}
$r = $t->get('/bkt/nothing');
is("$r->{status} $r->{headers}{'content-length'}", '200 0', 'no body');
$r = $t->head('/bkt/head');
is("$r->{status} $r->{headers}{'content-length'}", '200 5',
    'HEAD tells the length');
is($t->head('/bkt/plain')->{status}, 503, 'bytes for a HEAD are refused');

$r = $t->get('/bkt/headers');
is($r->{headers}{'content-type'}, 'text/x;charset="Z"', 'the type as stored');
is($r->{headers}{etag}, '"e"', 'etag');
is($r->{headers}{'last-modified'}, 'Thu, 01 Jan 1970 00:00:00 GMT', 'date');
is($r->{headers}{'accept-ranges'}, 'bytes', 'ranges');
is($r->{headers}{'x-amz-meta-a'}, 'b', 'metadata');
is($r->{headers}{'x-accel-redirect'}, undef, 'no word to nginx gets through');
like($r->{headers}{'x-amz-request-id'}, qr/^[0-9A-F]{16}$/, 'request id');

for (1 .. 3) {
    $r = $t->get('/bkt/windows');
    ok($r->{body} eq $file, "segments and data in their order, time $_");
    $r = $t->get('/bkt/end_ahead');
    ok($r->{body} eq $file, "an end ahead of the last ACK, time $_");
}

# A client that takes nothing until another request has met s3_read_timeout (as
# this one may, where a slow machine plays s3d).
for (1 .. 10) {
    $socket = $t->connect();
    $t->write_all($socket, $t->compose('GET', '/slow/large'));
    my $first = \(${*$socket}{s3_rest} = '');
    Test::S3::fill($socket, $first);
    last if $$first =~ /^\S+ 200/;
}
for my $path (qw(bkt/garbage bkt/crc bkt/early_data bkt/status bkt/huge bkt/close
    bkt/version slow/stall)) {
    $r = $t->get("/$path");
    is("$r->{status} " . ($r->{code} // ''), '503 ServiceUnavailable',
        "$path: a clear error");
    is($t->get('/bkt/plain')->{body}, 'hello', 'and the next is served');
}
ok($t->read_response($socket)->{body} eq $large, 'a client has time');
is($t->get('/bkt/plain', socket => $socket)->{body}, 'hello', 'and stays connected');
for my $key (qw(newline name)) {
    $r = $t->get("/bkt/$key");
    is("$r->{status} " . ($r->{code} // ''), '500 InternalError',
        "$key: a header is one line");
}

like($t->read_file('error.log'), qr/s3d is of version 9 .* of version 1/,
    'another version is named');

for my $key (qw(short long cut cut_chunked late_leave)) {
    $r = $t->get("/bkt/$key");
    ok($r->{truncated} || $r->{status} == 0,
        "$key: the client sees that bytes are missing") or diag explain $r;
}

# What there is of a reply passes through at once.
$socket = $t->connect();
$t->write_all($socket, $t->compose('PUT', '/bkt/early',
    headers => [ [ 'x-amz-copy-source', 'bkt/source' ] ]));
my $early = \(${*$socket}{s3_rest} = '');
for my $part ('<?xml?>', ' ') {
    Test::S3::fill($socket, $early) or last until $$early =~ /\Q$part\E\r\n\z/;
    open my $step, '>', "$dir/step" or die "step: $!";
}
$r = $t->read_response($socket);
is("$r->{status} $r->{headers}{'content-type'} $r->{body}",
    '200 application/xml <?xml?> <Error><Code>SlowDown</Code></Error>',
    'a reply that begins before its end is known');
is($t->get('/bkt/plain', socket => $socket)->{body}, 'hello',
    'and the connection serves on');
$t->wait_for('its code', sub { $t->read_file('codes') =~ m{^/bkt/early SlowDown$}m });
pass('the code of an error that comes late');

# --- requests --------------------------------------------------------------------

is($t->put('/bkt/seen', body => 'abc')->{body}, '7 3 11:3 14:0', 'a small body');
is($t->put('/bkt/seen', body => '')->{body}, '7 0 14:0', 'an empty body');
$r = $t->put('/bkt/seen', body => 'x' x 1_000_000);
like($r->{body}, qr/^7 1000000 (11:\d+ )+14:0$/, 'a large body in frames');
my $sum = 0;
$sum += $1 while $r->{body} =~ /11:(\d+)/g;
is($sum, 1_000_000, 'complete');
is($t->get('/bkt/seen')->{body}, '7 0 14:0', 'no body');
is($t->get('/bkt/seen', sign => 0)->{body}, '0 0 14:0', 'anonymous');
$socket = $t->connect();
is($t->get('/bkt/seen', body => 'abc', socket => $socket)->{body}, '7 0 14:0',
    'a body that nobody wants is dropped');
is($t->get('/bkt/plain', socket => $socket)->{body}, 'hello',
    'and the connection serves on');

$r = $t->put('/bkt/refused', body => 'x' x 10_000_000);
is($r->{status}, 403, 'an early refusal arrives');
is($t->put('/bkt/close', body => 'x')->{status}, 503, 'a lost answer to a PUT');
is($t->put('/bkt/retry', body => 'x')->{status} =~ /^(200|503)$/ ? 1 : 0, 1,
    'is not asked for twice');

# --- keys ---------------------------------------------------------------------------

for (1, 2) {
    $r = $t->get('/bkt/plain', access_key => 'AKNONE');
    is("$r->{status} $r->{code}", '403 InvalidAccessKeyId', "no key, time $_");
}
$r = $t->get('/slow/plain', access_key => 'AKSLOW');
is("$r->{status} $r->{code}", '503 ServiceUnavailable', 'a key that does not come');
$r = $t->get('/bkt/plain', access_key => 'AKCUT');
is("$r->{status} $r->{code}", '503 ServiceUnavailable', 'control connection lost');
$r = $t->get('/bkt/plain', access_key => 'AKNEW');
is("$r->{status} $r->{body}", '200 hello', 'and opened again');
$r = $t->get('/bkt/plain', access_key => 'AKLEFT');
is("$r->{status} $r->{body}", '200 hello', 'left by s3d: the next one is asked');
$r = $t->get('/slow/plain', access_key => 'AKBROKEN');
unlink "$dir/broken";
is("$r->{status} $r->{code}", '503 ServiceUnavailable', 'an s3d that only ends');
my @left = glob "$dir/left.*";
cmp_ok(@left, '<', 20, 'is not asked again and again');
$r = $t->get('/bkt/plain', access_key => 'AKMENDED');
is("$r->{status} $r->{body}", '200 hello', 'but later');
$r = $t->get('/bkt/plain', access_key => 'A' x 2000);
is("$r->{status} $r->{code}", '403 InvalidAccessKeyId', 'a key of absurd size');
$r = $t->get('/bkt/plain', secret_key => 'wrong');
is("$r->{status} $r->{code}", '403 SignatureDoesNotMatch', 'a wrong secret');
is($r->{headers}{'x-refused'}, 'SignatureDoesNotMatch', 's3d was told');

# A client that leaves while its request waits for a key.
for (1 .. 5) {
    $socket = $t->connect();
    $t->write_all($socket, $t->compose('GET', '/slow/plain', access_key => 'AKSLOW'));
    close $socket;
}
is($t->get('/bkt/plain')->{body}, 'hello', 'others are served');

$t->done();
