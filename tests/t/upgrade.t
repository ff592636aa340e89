#!/usr/bin/perl

# nginx's binary upgrade and reload under load: no request is broken.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use Test::More;
use Test::S3;

my $t = Test::S3->new(daemon => 'on')->run();
my $body = join '', map { pack 'N', $_ } 1 .. 200_000;    # 800,000 bytes

$t->put('/bkt');
$t->put('/bkt/k', body => $body);

# Clients that read and write until the file `stop` is there; exit 0 if every
# answer was right.
sub load {
    my ($number) = @_;
    my $pid = fork() // die "fork: $!";
    return $pid if $pid;
    my $bad = '';
    my $count = 0;
    until (-e "$t->{dir}/stop") {
        my $r = $t->get('/bkt/k');
        $bad ||= "GET $r->{status}" unless $r->{status} == 200 && $r->{body} eq $body;
        $r = $t->put("/bkt/w$number", body => "$count");
        $bad ||= "PUT $r->{status}" unless $r->{status} == 200;
        $r = $t->get("/bkt/w$number");
        $bad ||= "read '$r->{body}'" unless $r->{body} eq "$count";
        $count++;
        last if $bad;
    }
    open my $f, '>', "$t->{dir}/load$number" or POSIX::_exit(2);
    print $f $bad || "ok $count";
    close $f;
    POSIX::_exit($bad ? 1 : 0);
}

my @clients = map { load($_) } 1 .. 3;

sub served {
    my ($count) = @_;
    my $log = () = $t->read_file('access.log') =~ /\n/g;
    my $before = $log;
    $t->wait_for("$count more requests", sub {
        my $now = () = $t->read_file('access.log') =~ /\n/g;
        return $now > $before + $count;
    });
}

served(20);
$t->reload_nginx();
served(20);
$t->reload_nginx();
served(20);

# Binary upgrade: USR2, then WINCH and QUIT to the old master.
my $old = $t->{pids}{nginx};
kill 'USR2', $old;
$t->wait_for('the new master', sub {
    -s "$t->{dir}/nginx.pid.oldbin" && -s "$t->{dir}/nginx.pid" });
(my $new = $t->read_file('nginx.pid')) =~ s/\s//g;
isnt($new, $old, 'a new master runs');
served(20);
kill 'WINCH', $old;
served(20);
kill 'QUIT', $old;
$t->wait_for('the old master ends', sub { !kill 0, $old });
served(20);

$t->write_file('stop', '');
for my $i (1 .. 3) {
    waitpid $clients[ $i - 1 ], 0;
    like($t->read_file("load$i"), qr/^ok \d+$/, "client $i saw no broken request");
}

# The masters are not our children: they are stopped by their pid file.
delete $t->{pids}{nginx};
kill 'QUIT', $new;
$t->wait_for('the new master ends', sub { !kill 0, $new });
is($t->stop('s3d'), 0, 's3d stopped cleanly');
unlike($t->read_file('error.log'), qr/\[alert\]|\[emerg\]|Sanitizer|exited on signal/,
    'no alerts');

done_testing();
