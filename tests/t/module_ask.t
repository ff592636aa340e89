#!/usr/bin/perl

# Small reads on the control connection, of an s3d that is played here: answers
# in any order and any pieces, declined ones, such as break the protocol, and
# connections that end in between. What gets no answer there is asked on a
# connection of its own, where everything is "own".

use strict;
use warnings;

use FindBin;
use IO::Socket::INET;
use lib "$FindBin::Bin/lib";
use Test::Frames qw(:worker);
use Test::More;
use Test::S3;

my $secret = 'secret';
my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 10)
    or die $!;
my $t = Test::S3->new(workers => 1, # so that two requests meet
    location => 'add_header X-Asked $upstream_status;',
    server => <<"EOF_SERVER");
    location /slow {
        s3_pass s3d;
        s3_read_timeout 1s;
        add_header X-Asked \$upstream_status always;
    }
    location /post {
        s3_pass s3d;
        post_action /done;
    }
    location /done { proxy_pass http://127.0.0.1:@{[$silent->sockport()]}; }
EOF_SERVER
my $dir = $t->dir();

# --- the played s3d -----------------------------------------------------------

sub answer { return frame($ANSWER, number(1, $_[0])) . join '', @_[1 .. $#_] }
sub declined { return frame($ANSWER, number(1, $_[0]) . number(2, 1)) }

sub data { return reply(200, $BODY_DATA, length $_[0]) . frame($DATA, $_[0]) }

my $hello = data('hello') . frame($END);
my $document = '<Error><Code>NoSuchKey</Code></Error>';
my %waiting;

# What is written for a key; undef: the connection ends.
my %play = (
    plain => sub { answer($_[0], $hello) },
    pieces => sub {
        answer($_[0], reply(200, $BODY_DATA, 5), map { frame($DATA, $_) }
            (split //, 'hello'), '') . frame($END);
    },
    empty => sub { answer($_[0], reply(200, $BODY_NONE, 0), frame($END)) },
    head => sub { answer($_[0], reply(200, $BODY_NONE, 1 << 40), frame($END)) },
    largest => sub { answer($_[0], data('x' x 32768), frame($END)) },
    missing => sub {
        answer($_[0], reply(404, $BODY_DATA, length $document,
            [ 'Content-Type', 'application/xml' ]), frame($DATA, $document),
            frame($END));
    },
    headers => sub {
        answer($_[0], reply(200, $BODY_DATA, 5,
            [ 'Content-Type', 'text/x;charset="Z"' ], [ 'ETag', '"e"' ],
            [ 'Last-Modified', 'Thu, 01 Jan 1970 00:00:00 GMT' ],
            [ 'Cache-Control', 'no-store' ], [ 'x-amz-meta-a', 'b' ]),
            frame($DATA, 'hello'), frame($END));
    },
    unchanged => sub {
        answer($_[0], reply(304, $BODY_NONE, undef, [ 'ETag', '"e"' ]),
            frame($END));
    },
    first => sub { $waiting{first} = $_[0]; return '' },
    second => sub {
        return answer($_[0], data('second'), frame($END))
            . answer(delete $waiting{first}, data('first'), frame($END));
    },
    gone => sub { $waiting{gone} = $_[0]; return '' },
    after_gone => sub {
        return answer(delete $waiting{gone}, data('gone'), frame($END))
            . answer($_[0], data('after'), frame($END));
    },
    nobodys => sub { answer(1 << 40, $hello) . answer($_[0], $hello) },
    declined => sub {
        $t->write_file('asked', $t->read_file('asked') . '.');
        return declined($_[0]);
    },
    stall => sub { '' },
    # what breaks the protocol
    long => sub {
        answer($_[0], reply(200, $BODY_DATA, 3), frame($DATA, 'hello'),
            frame($END));
    },
    short => sub {
        answer($_[0], reply(200, $BODY_DATA, 9), frame($DATA, 'hello'),
            frame($END));
    },
    too_large => sub { answer($_[0], data('x' x 32769), frame($END)) },
    unknown_length => sub {
        answer($_[0], reply(200, $BODY_DATA), frame($DATA, 'hello'),
            frame($END));
    },
    for_head => sub { answer($_[0], $hello) },
    no_answer => sub { $hello },
    no_reply => sub { answer($_[0], frame($END)) },
    no_reply_data => sub { answer($_[0], frame($DATA, 'hello'), frame($END)) },
    two_replies => sub { answer($_[0], reply(200, $BODY_NONE, 0), $hello) },
    status => sub { answer($_[0], reply(100, $BODY_NONE), frame($END)) },
    segments => sub { answer($_[0], reply(200, $BODY_DATA, 5),
        segments([ 0, 1, 0, 5 ])) },
    garbage => sub { 'GARBAGE' x 10 },
    close => sub { undef },
    cut => sub { \answer($_[0], reply(200, $BODY_DATA, 9), frame($DATA, 'hello')) },
    newline => sub {
        answer($_[0], reply(200, $BODY_NONE, 0, [ 'x-amz-meta-a', "b\r\nc: d" ]),
            frame($END));
    },
);
# s3d ends before it answers, in the middle of an answer; the next one answers.
for my $part ([ left => 0 ], [ half_left => 1 ]) {
    my ($name, $half) = @$part;
    $play{$name} = sub {
        return answer($_[0], $hello) if -e "$dir/$name";
        $t->write_file($name, '');
        return ($half ? answer($_[0], reply(200, $BODY_DATA, 5),
            frame($DATA, 'no')) : '') . frame($LEAVE);
    };
}

# One of before: it would cut the connection off.
sub serve_old_control {
    my ($s) = @_;
    my ($type, $payload) = read_frame($s);
    return if $type != $KEY_REQUEST;
    my $m = message($payload);
    syswrite $s, frame($WELCOME, number(1, 1)) . key_reply($m, $secret);
    $t->write_file('old_asked', '') if read_frame($s);
}

sub serve_control {
    my ($s) = @_;
    return serve_old_control($s) if -e "$dir/old";
    syswrite $s, frame($WELCOME, number(1, 1) . number(5, 1));
    while (my ($type, $payload) = read_frame($s)) {
        my $m = message($payload);
        if ($type == $KEY_REQUEST) {
            if ($m->{2} eq 'AKOLD') {
                $t->write_file('old', '');
                syswrite $s, frame($LEAVE);
                return;
            }
            syswrite $s, key_reply($m, $secret);
            next;
        }
        next if $type != $REQUEST;
        my $out = $play{ $m->{4} }->($m->{44});
        syswrite $s, ref $out ? $$out : $out // '';
        return if ref $out || !defined $out;
    }
}

sub serve_requests {
    my ($s) = @_;
    while (my ($type) = read_frame($s)) {
        syswrite $s, data('own') . frame($END) if $type == $END;
    }
}

Test::Frames::play($t, \&serve_control, \&serve_requests);
@$t{qw(access_key secret_key)} = ('AKGOOD', $secret);
$t->start_nginx();

# The control connection is there again: what is asked is answered on it.
sub asked {
    my ($what) = @_;
    $t->wait_for($what, sub { $t->get("/bkt/plain")->{body} eq "hello" });
}

my $r;
asked('there');

# --- answers --------------------------------------------------------------------

for my $key (qw(plain pieces nobodys left half_left)) {
    for (1 .. 3) {
        $r = $t->get("/bkt/$key");
        is("$r->{status} $r->{body} $r->{headers}{'x-asked'}", '200 hello 200',
            "$key, time $_");
    }
}
$r = $t->get('/bkt/empty');
is("$r->{status} $r->{headers}{'content-length'}", '200 0', 'an empty one');
$r = $t->head('/bkt/head');
is("$r->{status} $r->{headers}{'content-length'}", '200 ' . (1 << 40),
    'HEAD of a large one');
is($t->get('/bkt/largest')->{body}, 'x' x 32768, 'the largest');
$r = $t->get('/bkt/missing');
is("$r->{status} $r->{code} $r->{body}", "404 NoSuchKey $document", 'an error');
like($r->{headers}{'x-amz-request-id'}, qr/^[0-9A-F]{16}$/, 'request id');
$r = $t->get('/bkt/headers');
is(join(' ', map { $r->{headers}{$_} } qw(content-type etag last-modified
    cache-control x-amz-meta-a)),
    'text/x;charset="Z" "e" Thu, 01 Jan 1970 00:00:00 GMT no-store b', 'headers');
$r = $t->get('/bkt/unchanged');
is("$r->{status} $r->{headers}{etag} " . ($r->{headers}{'content-length'} // '-'),
    '304 "e" -', 'not modified');

my @two = map { $t->connect() } 1 .. 2;
$t->write_all($two[0], $t->compose('GET', '/bkt/first'));
is($t->get('/bkt/plain')->{body}, 'hello', 'another between');
$t->write_all($two[1], $t->compose('GET', '/bkt/second'));
is(join(' ', map { $t->read_response($_)->{body} } @two), 'first second',
    'each has its own answer');

my $gone = $t->connect();
$t->write_all($gone, $t->compose('GET', '/bkt/gone'));
is($t->get('/bkt/plain')->{body}, 'hello', 'it is asked');
close $gone;
is($t->get('/bkt/plain')->{body}, 'hello', 'it is gone');
is($t->get('/bkt/after_gone')->{body}, 'after', 'nobody gets its answer');

$gone = $t->connect();
$t->write_all($gone, $t->compose('GET', '/post/gone'));
is($t->get('/bkt/plain')->{body}, 'hello', 'another is asked');
close $gone;
is($t->get('/bkt/plain')->{body}, 'hello', 'it is gone, and something else now');
is($t->get('/bkt/after_gone')->{body}, 'after', 'that gets no answer either');

$gone = $t->connect();
$t->write_all($gone, $t->compose('GET', '/post/stall'));
is($t->get('/bkt/plain')->{body}, 'hello', 'a third is asked');
close $gone;
unlink "$dir/left" or die $!;
is($t->get('/bkt/left')->{body}, 'hello', 'its question dies with that s3d');

# --- no answer ------------------------------------------------------------------

$r = $t->get('/bkt/declined');
is("$r->{status} $r->{body}", '200 own', 'declined');
is($t->get('/bkt/plain')->{body}, 'own', 'the next is not asked');
is($t->get('/bkt/plain')->{body}, 'hello', 'the one after it is');
# Of a series, the 1st, 3rd, 7th, 15th, 31st, 63rd, 127th and 191st is.
my $before = length $t->read_file('asked');
is(scalar(grep { $t->get('/bkt/declined')->{body} eq 'own' } 1 .. 200), 200,
    'large ones');
is(length($t->read_file('asked')) - $before, 8, 'are seldom asked for');
is($t->get('/bkt/plain', headers => [ map { [ "x-amz-meta-$_" => 'y' x 6000 ] }
    1 .. 3 ])->{body}, 'own', 'a question that is too large');

for my $key (qw(long short too_large unknown_length no_answer no_reply
    no_reply_data two_replies status segments garbage close cut)) {
    asked("$key: asked");
    $r = $t->get("/bkt/$key");
    is("$r->{status} $r->{body}", '200 own', "$key: on a connection of its own");
}
asked('for HEAD');
is($t->head('/bkt/for_head')->{status}, 503, 'bytes for a HEAD are refused');
asked('a header');
$r = $t->get('/bkt/newline');
is("$r->{status} $r->{code}", '500 InternalError', 'a header is one line');
$r = $t->get('/slow/stall');
is("$r->{status} $r->{code} $r->{headers}{'x-asked'}",
    '503 ServiceUnavailable 504', 'no answer in time');
is($t->get('/bkt/plain')->{body}, 'hello', 'the next is answered');

# The next s3d knows keys only: a read that is open goes its own way.
my $read = $t->connect();
$t->write_all($read, $t->compose('GET', '/bkt/stall'));
is($t->get('/bkt/plain')->{body}, 'hello', 'it is asked');
is($t->get('/bkt/plain', access_key => 'AKOLD')->{body}, 'own',
    'a key is asked for again');
is($t->read_response($read)->{body}, 'own', 'a read that it would not know');
ok(!-e "$dir/old_asked", 'which it was not asked');

$t->done();
