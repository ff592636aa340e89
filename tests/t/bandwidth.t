#!/usr/bin/perl

# Limits of bandwidth, of buckets, accounts and users: both directions, over all
# workers; whoever is not limited does not wait. No machine is too slow for what
# is said here of times: they are the least. One that is slower than the limit
# has nothing to wait for: it tries again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use List::Util qw(min);
use Test::More;
use Test::S3;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

# Bytes a second; of a turn, which is not waited for; seconds that are caught up.
use constant { LIMIT => 1 << 19, TURN => 1 << 16, CATCH_UP => 0.1 };
use constant TRIES => 20;

my $t = Test::S3->new(server => 'location /files/ { s3_static s3d slow; }')->run();

sub as { return (access_key => $_[0]{access_key}, secret_key => $_[0]{secret_key}) }

# How often bodies have waited.
sub waits {
    my %waits;
    for my $sample (@{ $t->ctl('status')->{metrics}{s3d_bandwidth_waits_total} }) {
        $waits{ $sample->{labels}{direction} } = $sample->{value};
    }
    return \%waits;
}

# What is done, with what came of it: in which direction has it waited?
sub waited {
    my ($what, $directions, $do) = @_;
    my ($done, $waited);
    for (1 .. TRIES) {
        my $before = waits();
        $done = $do->();
        my $after = waits();
        $waited = join ' ', grep { $after->{$_} > $before->{$_} } sort keys %$after;
        last if !$done || $waited || !$directions;
    }
    ok($done, $what);
    is($waited, $directions, "$what: waited for");
}

# Those that take their time: no less than the limit of so many bytes.
sub slowly {
    my ($what, $direction, $bytes, $do) = @_;
    my @seconds;
    waited($what, $direction, sub {
        my $began = clock_gettime(CLOCK_MONOTONIC);
        my $done = $do->();
        push @seconds, clock_gettime(CLOCK_MONOTONIC) - $began;
        return $done;
    });
    cmp_ok(min(@seconds), '>=', $bytes / LIMIT - CATCH_UP, "$what: no faster");
}

# GETs at once, of whichever workers; the bodies.
sub at_once {
    my ($count, @request) = @_;
    my @sockets = map { $t->connect() } 1 .. $count;
    $t->write_all($_, $t->compose('GET', @request)) for @sockets;
    return map { $t->read_response($_)->{body} } @sockets;
}

my $body = join '', map { sprintf "%08x", $_ } 1 .. 40960; # 5/8 of a second
my $size = length $body;

is($t->put("/$_")->{status}, 200, "bucket $_") for qw(slow free);
is($t->put("/$_/k", body => $body)->{status}, 200, 'an object') for qw(slow free);
is($t->put('/slow/hot', body => 'x' x 40000)->{status}, 200, 'a small one');
is($t->get('/slow/hot')->{status}, 200, 'hot') for 1 .. 3;

# --- a bucket ------------------------------------------------------------------

ok($t->ctl(qw(quota set slow --download 512K --upload 512K)), 'limits of a bucket');
is_deeply($t->ctl(qw(quota show slow))->{buckets}[0]{quota},
    { download => LIMIT, upload => LIMIT }, 'are told');

slowly('GET', 'download', $size - TURN,
    sub { return $t->get('/slow/k')->{body} eq $body });
slowly('PUT', 'upload', $size,
    sub { return $t->put('/slow/k', body => $body)->{status} == 200 });
waited('what is hot elsewhere', 'download', sub {
    return 5 == grep { $_ eq 'x' x 40000 } at_once(5, '/slow/hot');
});
waited('a file of nginx', 'download', sub {
    return $t->get('/files/k', sign => 0)->{body} eq $body;
});
waited('HEAD and 304', '', sub {
    my $etag = $t->head('/slow/k')->{headers}{etag};
    return $t->get('/slow/k', headers => [ [ 'If-None-Match' => $etag ] ])->{status}
        == 304;
});
waited('another bucket', '', sub {
    return $t->get('/free/k')->{body} eq $body
        && $t->put('/free/k', body => $body)->{status} == 200;
});

# Two at once, of more than comes in one piece: both get on, and together no
# faster.
slowly('two at once', 'download', $size - TURN, sub {
    my $range = [ Range => 'bytes=0-' . ($size / 2 - 1) ];
    return 2 == grep { length == $size / 2 }
        at_once(2, '/slow/k', headers => [ $range ]);
});

# Who goes away leaves nothing behind that could fail; nor does a reload.
my $gone = $t->connect();
$t->write_all($gone, $t->compose('GET', '/slow/k'));
sysread $gone, my $some, 100;
my @old = $t->workers();
$t->reload_nginx();
close $gone;
$t->wait_for_end_of(@old);
slowly('after a reload', 'download', $size - TURN,
    sub { return $t->get('/slow/k')->{body} eq $body });
ok($t->ctl(qw(quota remove slow)), 'no limits');
waited('as before', '', sub { return $t->get('/slow/k')->{body} eq $body });

# --- users and accounts --------------------------------------------------------

my $alice = $t->ctl(qw(user add alice));
$t->ctl(qw(user attach alice AmazonS3FullAccess));
ok($t->ctl(qw(quota set --user alice --download 512K)), 'a limit of a user');
my $shown = $t->ctl(qw(quota show));
is_deeply([ map { [ $_->{name}, $_->{quota} ] } @{ $shown->{users} } ],
    [ [ 'alice', { download => LIMIT } ] ], 'is told');
waited('the user', 'download',
    sub { return $t->get('/free/k', as($alice))->{body} eq $body });
waited('another of the account', '',
    sub { return $t->get('/free/k')->{body} eq $body });
ok($t->ctl(qw(quota set --user alice --requests 1 --download 0)), 'of requests');
my $status = 200;
$status = $t->get('/free/hot', as($alice))->{status} while $status != 503;
is($status, 503, 'are limited');
is($t->get('/slow/hot')->{status}, 200, 'of nobody else');
is($t->ctl(@$_), undef, "@$_") for [ qw(quota set --user alice --bytes 1M) ],
    [ qw(quota set --user nobody --download 1M) ],
    [ qw(quota set slow --user alice --download 1M) ],
    [ qw(quota set slow --upload 10K) ];
ok($t->ctl(qw(user delete alice)), 'the user goes');
is_deeply($t->ctl(qw(quota show))->{users}, [], 'and the limits');
ok($t->ctl(qw(quota set --account root --upload 512K)), 'of an account');
waited('the account', 'upload',
    sub { return $t->put('/free/k', body => $body)->{status} == 200 });

$t->done();
