#!/usr/bin/perl

# s3ctl uploads: which there are, and the end of those that were left; their
# space comes back, and what has been completed stays.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use POSIX ();
use Test::More;
use Test::S3;

my $t = Test::S3->new(s3d => 'extent_size = "64M"; reclaim = { interval = "1h"; };'
    . ' change_log = "$dir/changes.log";');
my $dir = $t->dir();
$t->{s3d} =~ s/\$dir/$dir/g;
$t->run();

# ($code, $stdout, $stderr)
sub s3ctl {
    my ($words) = @_;
    my $out = `@{[$t->build()]}/s3ctl -s $dir/admin.sock $words 2>$dir/stderr </dev/null`;
    return ($? >> 8, $out, $t->read_file('stderr'));
}

sub create {
    my ($target, @o) = @_;
    my $r = $t->post("$target?uploads", @o);
    is($r->{status}, 200, "create $target");
    return $r->{body} =~ m{<UploadId>(.+?)</UploadId>} ? $1 : '';
}

sub part {
    my ($target, $id, $number, $body, @o) = @_;
    my $r = $t->put("$target?partNumber=$number&uploadId=$id", body => $body, @o);
    is($r->{status}, 200, "part $number of $target");
    return $r->{headers}{etag};
}

sub complete {
    my ($target, $id, $etag, @o) = @_;
    return $t->post("$target?uploadId=$id", @o, body => '<CompleteMultipartUpload><Part>'
        . "<PartNumber>1</PartNumber><ETag>$etag</ETag></Part></CompleteMultipartUpload>");
}

# --- none ----------------------------------------------------------------------
my $team = $t->ctl(qw(account add team)) or die;
my @as_team = (access_key => $team->{access_key}, secret_key => $team->{secret_key});
is($t->put('/bkt')->{status}, 200, 'a bucket');
is($t->put('/of-team', @as_team)->{status}, 200, 'a bucket of another account');
is_deeply([ s3ctl('uploads list') ],
    [ 0, "BUCKET  INITIATED (UTC)  INITIATOR  PARTS  SIZE  UPLOAD  KEY\n", '' ], 'no uploads');
is_deeply([ s3ctl('uploads abort --older-than 0s') ],
    [ 0, "0 uploads with 0 parts, 0 B, were aborted\n", '' ], 'nor any to abort');

# --- which there are --------------------------------------------------------------
my $empty = create('/bkt/a%1b');
my $big = create('/bkt/big');
my $etag = part('/bkt/big', $big, 1, 'x' x (5 << 20));
part('/bkt/big', $big, 3, 'y' x 1024);
my $theirs = create('/of-team/key', @as_team);
part('/of-team/key', $theirs, 7, 'z', @as_team);

my $listed = $t->ctl(qw(uploads list));
my %initiated = map { $_->{upload_id} => delete $_->{initiated_ms} } @{ $listed->{uploads} };
delete $_->{initiator_id} for @{ $listed->{uploads} };
my @bkt = (
    { bucket => 'bkt', account => 'root', key => "a\x1b", upload_id => $empty,
        initiator => 'root', parts => 0, bytes => 0 },
    { bucket => 'bkt', account => 'root', key => 'big', upload_id => $big,
        initiator => 'root', parts => 2, bytes => (5 << 20) + 1024 });
is_deeply($listed, { damaged => 0, truncated => JSON::PP::false, uploads => [ @bkt,
    { bucket => 'of-team', account => 'team', key => 'key', upload_id => $theirs,
        initiator => 'team', parts => 1, bytes => 1 } ] }, 'all');
sub ids { return [ map { $_->{upload_id} } @{ $t->ctl(qw(uploads list), @_)->{uploads} } ] }
is_deeply(ids('bkt'), [ $empty, $big ], 'of a bucket');
is_deeply(ids(qw(--older-than 0s of-team)), [ $theirs ], 'of an age');
is_deeply(ids(qw(--older-than 1h)), [], 'none is that old');

my ($code, $out) = s3ctl('uploads list');
my @when = map { POSIX::strftime('%Y-%m-%d %H:%M:%S', gmtime $initiated{$_} / 1000) }
    $empty, $big, $theirs;
is($out, <<"EOF_TABLE", 'a table');
BUCKET   INITIATED (UTC)      INITIATOR  PARTS     SIZE  UPLOAD                                        KEY
bkt      $when[0]  root           0      0 B  $empty  a?
bkt      $when[1]  root           2  5.0 MiB  $big  big
of-team  $when[2]  team           1      1 B  $theirs  key
EOF_TABLE

# --- command lines that are wrong -------------------------------------------------
for my $words ('uploads abort', 'uploads abort bkt --dry-run', 'uploads list --dry-run',
    map { "uploads abort --older-than '$_'" } '', 1, 'd', '1y', '-1d', '1.5h', '1 d', '1000001d') {
    my ($code, $out, $error) = s3ctl($words);
    is("$code $out", '2 ', "usage: $words");
}
is_deeply([ s3ctl("uploads abort '' --older-than 0s") ], [ 1, '', "s3ctl: no such bucket\n" ],
    'a name that is empty is not all buckets');
is_deeply([ s3ctl('uploads list none') ], [ 1, '', "s3ctl: no such bucket\n" ], 'no such bucket');
is(@{ ids() }, 3, 'nothing has happened');

# --- their end ---------------------------------------------------------------------
is_deeply([ s3ctl('uploads abort --older-than 2w') ],
    [ 0, "0 uploads with 0 parts, 0 B, were aborted\n", '' ], 'the young stay');
my $bytes = (5 << 20) + 1024;
is_deeply($t->ctl(qw(uploads abort bkt --older-than 0s --dry-run)), { dry_run => JSON::PP::true,
    uploads => 2, parts => 2, bytes => $bytes, damaged => 0 }, 'what would be aborted');
is(@{ ids() }, 3, 'and is not');
is($t->ctl(qw(usage bkt))->{buckets}[0]{bytes}, $bytes, 'what the parts use');
is_deeply([ s3ctl('uploads abort bkt --older-than 0s') ],
    [ 0, "2 uploads with 2 parts, 5.0 MiB, were aborted\n", '' ], 'aborted');
is_deeply(ids(), [ $theirs ], 'another bucket\'s stays');
is_deeply([ @{ $t->ctl(qw(usage bkt))->{buckets}[0] }{qw(bytes objects)} ], [ 0, 0 ],
    'what they used is given back');
is(complete('/bkt/big', $big, $etag)->{code}, 'NoSuchUpload', 'it is gone');
is($t->put("/bkt/big?partNumber=2&uploadId=$big", body => 'late')->{code}, 'NoSuchUpload',
    'for parts, too');
my $pass = $t->ctl(qw(reclaim start))->{pass};
my $status;
$t->wait_for('a pass of reclaim', sub {
    $status = $t->ctl(qw(reclaim status));
    return $status->{passes} >= $pass && !$status->{running};
});
is($status->{blobs_freed}, 2, 'the space comes back');

$etag = part('/of-team/key', $theirs, 1, 'whole', @as_team);
is(complete('/of-team/key', $theirs, $etag, @as_team)->{status}, 200,
    'what was left alone is completed');
is_deeply([ s3ctl('uploads abort --older-than 0s') ],
    [ 0, "0 uploads with 0 parts, 0 B, were aborted\n", '' ], 'then it is no upload');
is($t->get('/of-team/key', @as_team)->{body}, 'whole', 'but an object');

# --- the log of changes ------------------------------------------------------------
my @changes = grep { $_->{operation} =~ /^uploads/ }
    map { decode_json($_) } split /\n/, $t->read_file('changes.log');
is_deeply([ map { [ @$_{qw(operation error parameters)} ] } @changes ], [
    [ 'uploads.abort', '', { older_than_s => 0 } ],
    [ 'uploads.abort', 'no such bucket', { bucket => '', older_than_s => 0 } ],
    [ 'uploads.abort', '', { older_than_s => 14 * 86400 } ],
    [ 'uploads.abort', '', { bucket => 'bkt', older_than_s => 0, dry_run => JSON::PP::true } ],
    [ 'uploads.abort', '', { bucket => 'bkt', older_than_s => 0 } ],
    [ 'uploads.abort', '', { older_than_s => 0 } ],
], 'all but what only looks');
is($changes[0]{principal}, "uid $<", 'and who it was');

$t->done();
