#!/usr/bin/perl

# Limits of bandwidth, of buckets, accounts and users: both directions, over all
# workers; whoever is not limited does not wait. No machine is too slow for what
# is said here of times: they are the least.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

# Bytes a second; of a turn, which is not waited for; seconds that are caught up.
use constant { LIMIT => 1 << 20, TURN => 1 << 16, CATCH_UP => 0.1 };

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
    my $before = waits();
    ok($do->(), $what);
    my $after = waits();
    is(join(' ', grep { $after->{$_} > $before->{$_} } sort keys %$after),
        $directions, "$what: waited for");
}

# Those that take their time: no less than the limit of so many bytes.
sub slowly {
    my ($what, $direction, $bytes, $do) = @_;
    my $began = clock_gettime(CLOCK_MONOTONIC);
    waited($what, $direction, $do);
    cmp_ok(clock_gettime(CLOCK_MONOTONIC) - $began, '>=',
        $bytes / LIMIT - CATCH_UP, "$what: no faster");
}

my $body = join '', map { sprintf "%08x", $_ } 1 .. 49152; # 3/8 of a second
my $size = length $body;

is($t->put("/$_")->{status}, 200, "bucket $_") for qw(slow free);
is($t->put("/$_/k", body => $body)->{status}, 200, 'an object') for qw(slow free);
is($t->put('/slow/hot', body => 'x' x 40000)->{status}, 200, 'a small one');
is($t->get('/slow/hot')->{status}, 200, 'hot') for 1 .. 3;

# --- a bucket ------------------------------------------------------------------

ok($t->ctl(qw(quota set slow --download 1M --upload 1M)), 'limits of a bucket');
is_deeply($t->ctl(qw(quota show slow))->{buckets}[0]{quota},
    { download => LIMIT, upload => LIMIT }, 'are told');

slowly('GET', 'download', $size - TURN,
    sub { return $t->get('/slow/k')->{body} eq $body });
slowly('PUT', 'upload', $size,
    sub { return $t->put('/slow/k', body => $body)->{status} == 200 });
waited('what is hot elsewhere', 'download', sub {
    return 5 == grep { $t->get('/slow/hot')->{body} eq 'x' x 40000 } 1 .. 5;
});
waited('a file of nginx', 'download', sub {
    my $r = $t->get('/files/k', sign => 0, headers => [ [ Range => 'bytes=0-199999' ] ]);
    return $r->{status} == 206 && $r->{body} eq substr $body, 0, 200000;
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

# Two at once, of whichever workers: both get on, and together no faster.
slowly('two at once', 'download', $size - 2 * TURN, sub {
    my @sockets = map { $t->connect() } 1 .. 2;
    my $range = [ Range => 'bytes=0-' . ($size / 2 - 1) ];
    $t->write_all($_, $t->compose('GET', '/slow/k', headers => [ $range ]))
        for @sockets;
    return 2 == grep { length $t->read_response($_)->{body} == $size / 2 } @sockets;
});

# Who goes away leaves nothing behind that could fail; nor does a reload.
my $gone = $t->connect();
$t->write_all($gone, $t->compose('GET', '/slow/k'));
sysread $gone, my $some, 100;
$t->reload_nginx();
close $gone;
slowly('after a reload', 'download', 200000 - TURN, sub {
    return length $t->get('/slow/k',
        headers => [ [ Range => 'bytes=0-199999' ] ])->{body} == 200000;
});
ok($t->ctl(qw(quota remove slow)), 'no limits');
waited('as before', '', sub { return $t->get('/slow/k')->{body} eq $body });

# --- users and accounts --------------------------------------------------------

my $alice = $t->ctl(qw(user add alice));
$t->ctl(qw(user attach alice AmazonS3FullAccess));
ok($t->ctl(qw(quota set --user alice --download 1M)), 'a limit of a user');
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
ok($t->ctl(qw(quota set --account root --upload 1M)), 'of an account');
waited('the account', 'upload',
    sub { return $t->put('/free/k', body => $body)->{status} == 200 });

$t->done();
