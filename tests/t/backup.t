#!/usr/bin/perl

# The drill: a backup of the metadata is made under load; then things are
# overwritten, deleted, reclaimed and added; every mirror is lost; and what was
# at the moment of the backup is restored, byte for byte; and then, with the
# journal, what was a moment before the mishap.

use strict;
use warnings;

use File::Path qw(remove_tree);
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $dir = $t->dir();
my $ctl = $t->build() . '/s3ctl';
my $sse = 'x-amz-server-side-encryption';
my $r;

sub s3ctl {
    my (@words) = @_;
    my $text = `$ctl -s $dir/admin.sock --json @words 2>$dir/ctl.err`;
    return $? == 0 ? decode_json($text) : undef;
}

sub said { return $t->read_file('ctl.err') . $t->read_file('s3d.log') }

sub metadata { return glob "$dir/drive*/metadata" }

sub body {
    my ($key) = @_;
    $r = $t->get("/bkt/$key");
    return "$r->{status} " . ($r->{status} == 200 ? $r->{body} : $r->{code});
}

# --- what there is ------------------------------------------------------------

my $large = join '', map { pack 'N', $_ } 1 .. 100_000;
is($t->put('/bkt')->{status}, 200, 'a bucket');
is($t->put('/bkt/victim', body => $large)->{status}, 200, 'one alone in extents');
$t->stop('s3d');    # nothing more is written to these
$t->start_s3d();
my %before = (empty => '', small => 'small', large => $large,
    deleted => 'it is there', sealed => 'sealed');
for my $key (sort keys %before) {
    is($t->put("/bkt/$key", body => $before{$key}, headers =>
        [ $key eq 'sealed' ? [ $sse => 'AES256' ] : () ])->{status}, 200, $key);
}
my $other = $t->ctl('account', 'add', 'other');

# --- a backup under load ------------------------------------------------------

# Writes until it is told to stop, and notes what was begun and acknowledged.
my $writer = fork() // die "fork: $!";
if ($writer == 0) {
    open my $log, '>', "$dir/writes" or POSIX::_exit(1);
    $log->autoflush(1);
    for (my $n = 1; !-e "$dir/enough"; $n++) {
        print {$log} "begun $n\n";
        $t->put("/bkt/load$n", body => "load $n " x 50)->{status} == 200
            or POSIX::_exit(1);
        print {$log} "done $n\n";
    }
    POSIX::_exit(0);
}

sub writes {
    my ($what) = @_;
    my @n = $t->read_file('writes') =~ /^$what (\d+)$/mg;
    return $n[-1] // 0;
}

$t->wait_for('writes', sub { writes('done') >= 10 });
mkdir "$dir/backups";
my $acknowledged = writes('done');
my $backup = s3ctl('backup', 'create', "$dir/backups");
my $begun = writes('begun');
ok($backup, 'a backup while writes go on') or diag(said());
$t->wait_for('more writes', sub { writes('done') >= $begun + 10 });
$t->write_file('enough', '');
waitpid $writer, 0;
is($?, 0, 'no write failed');
my $last = writes('done');

my $file = $backup->{file};
is_deeply([ glob "$dir/backups/{*,.s3d-*}" ], [ $file ],
    'one file, nothing half done');
is(sprintf('%o', (stat $file)[2] & 07777), '600', 'which is nobody else\'s');
is(-s $file, $backup->{size}, 'as large as it was said');
my $verified = s3ctl('backup', 'verify', $file);
is($verified->{commit}, $backup->{commit}, 'whole, of the same commit');
ok($verified->{records} > 20, 'with records');
is(system("$ctl -s $dir/admin.sock backup create - > $dir/piped"), 0, 'piped');
ok(s3ctl('backup', 'verify', "$dir/piped")->{commit} >= $backup->{commit},
    'the same in a pipe');
is(s3ctl('backup', 'create', "$dir/nowhere"), undef, 'nowhere');

# --- the journal --------------------------------------------------------------

is($t->put('/bkt/late', body => 'before the mishap')->{status}, 200, 'late');
my $point = s3ctl('backup', 'journal', "$dir/backups");
ok($point && $point->{commit} > $backup->{commit}, 'what was committed since')
    or diag(said());

# --- after it -----------------------------------------------------------------

is($t->put('/bkt/small', body => 'overwritten')->{status}, 200, 'overwritten');
is($t->delete("/bkt/$_")->{status}, 204, "$_ is deleted")
    for qw(deleted victim);
is($t->put('/bkt/new', body => 'from later')->{status}, 200, 'added');
$t->wait_for('extents to go', sub {
    s3ctl('reclaim', 'start');
    return s3ctl('reclaim', 'status')->{extents_removed} > 0;
});
my $pulled = s3ctl('backup', 'journal', "$dir/backups");
ok($pulled && $pulled->{commit} > $point->{commit}, 'the mishap, too');
my @journal = ('--journal', "$dir/backups");
is(s3ctl('backup', 'verify', $file, @journal)->{commit}, $pulled->{commit},
    'one goes on from the other');
is(s3ctl('backup', 'verify', $file, @journal, '--until',
    '2030-01-01T00:00:00Z'), undef, 'not up to a moment that has not come');
$t->stop('s3d');

# --- what is refused ----------------------------------------------------------

sub restore {
    my ($from, @more) = @_;
    return s3ctl('restore', '-c', "$dir/s3d.conf", $from, @more);
}

is(restore($file), undef, 'not over metadata that are there');
like(said(), qr/is not empty: move it away/, 'it says so');
my @lost = metadata();
rename $lost[$_], "$dir/old$_" or die "rename: $!" for 0 .. $#lost;

sub damaged {
    my ($name, $change) = @_;
    my $bytes = $t->read_file("backups/" . ($file =~ s{.*/}{}r));
    $change->($bytes);
    $t->write_file($name, $bytes);
    is(s3ctl('backup', 'verify', "$dir/$name"), undef, "$name: not verified");
    is(restore("$dir/$name"), undef, "$name: not restored");
    like(said(), qr/it is no backup, not whole, or damaged/, "$name: why");
    is_deeply([ metadata() ], [], "$name: nothing was made");
}

damaged('torn', sub { $_[0] = substr $_[0], 0, -1 });
damaged('endless', sub { $_[0] = substr $_[0], 0, -56 });
damaged('falsified', sub { substr($_[0], 300, 1) ^= "\x01" });
damaged('longer', sub { $_[0] .= "\0" });
damaged('of_another', sub { substr($_[0], 20, 1) ^= "\x01" });

# --- restored -----------------------------------------------------------------

my $report = restore($file);
ok($report, 'restored') or diag(said());
is($report->{backup}{commit}, $backup->{commit}, 'that commit');
ok($report->{blobs_held} >= 2, 'later blobs are counted');
is($report->{objects_restored}, 0, 'and become nothing');
is_deeply([ map { "$_->{what} $_->{key}" } @{$report->{findings}} ],
    [ 'unreadable victim' ], 'what was reclaimed since is named');
$t->start_s3d();
is(body($_), "200 $before{$_}", "$_ is as it was") for sort keys %before;
is(body('new'), '404 NoSuchKey', 'what came later is not there');
is(body('victim'), '500 InternalError', 'what was reclaimed cannot be read');
is(join(' ', grep { body("load$_") ne "200 " . "load $_ " x 50 }
    1 .. $acknowledged), '', 'what was acknowledged before is there');
my %known = map { $_ => 1 } $t->get('/bkt?prefix=load')->{body}
    =~ m{<Key>load(\d+)</Key>}g;
is(join(' ', grep { $known{$_} } $begun + 1 .. $last), '',
    'what was begun after is not');
is(join(' ', grep { body("load$_") ne "200 " . "load $_ " x 50 }
    sort keys %known), '', 'what is listed can be read');
ok((grep { $_->{name} eq 'other' } @{s3ctl('account', 'list')->{accounts}}),
    'accounts too');

# --- what came later is held --------------------------------------------------

sub passed {
    my $pass = s3ctl('reclaim', 'start')->{pass};
    my $status;
    $t->wait_for('a pass', sub {
        $status = s3ctl('reclaim', 'status');
        return $status->{passes} >= $pass;
    });
    return $status;
}

is($t->delete('/bkt/large')->{status}, 204, 'garbage');
my $status = passed();
ok($status->{extents_held} > 0, 'extents from before are held');
is($status->{extents_removed}, 0, 'nothing goes');
is($t->put('/bkt/small', body => 'again')->{status}, 200, 'writes go on');
is(body('small'), '200 again', 'and are read');

# --- another point of the same history ----------------------------------------

is(s3ctl('backup', 'journal', "$dir/backups"), undef,
    'the restored store is another one');
like(said(), qr/a backup of another store/, 'it says so');
$t->stop('s3d');
remove_tree(@lost);
$report = restore($file, @journal, '--until', $point->{commit});
ok($report, 'restored to a point of the journal') or diag(said());
is($report->{backup}{commit}, $point->{commit}, 'that commit');
$t->start_s3d();
is(body($_), "200 $before{$_}", "$_ is as it was") for sort keys %before;
is(body('late'), '200 before the mishap', 'what was written after the backup');
is(body('new'), '404 NoSuchKey', 'but not what came later');
is(join(' ', grep { body("load$_") ne "200 " . "load $_ " x 50 } 1 .. $last),
    '', 'all that was acknowledged');
is($t->put('/bkt/small', body => 'again')->{status}, 200, 'writes go on');

# An old mirror that comes back is of another store.
$t->stop('s3d');
remove_tree($lost[1]);
rename "$dir/old1", $lost[1] or die "rename: $!";
ok(-e "$lost[1]/set", 'an old mirror is there');
$t->start_s3d();
is(join(' ', sort map { $_->{state} } @{s3ctl('status')->{metadata}{mirrors}}),
    'foreign member member', 'an old mirror is not believed');
is(body('small'), '200 again', 'nor read');

# --- accepted -----------------------------------------------------------------

is(s3ctl('backup', 'accept'), undef, 'not without --yes');
like(said(), qr/will be reclaimed for good/, 'it says why');
ok(s3ctl('backup', 'accept', '--yes'), 'accepted');
$status = passed();
is($status->{extents_held}, 0, 'nothing is held');
$t->wait_for('extents to go', sub { passed()->{extents_removed} > 0 });
is(body($_), "200 $before{$_}", "$_ is still there")
    for qw(empty deleted sealed);
$t->done();
