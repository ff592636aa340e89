#!/usr/bin/perl

# All mirrors of the metadata are lost: what `s3ctl rebuild` makes of the
# archive and of the shards, and what it says.

use strict;
use warnings;

use Digest::MD5 qw(md5_base64 md5_hex);
use Digest::SHA ();
use File::Path qw(remove_tree);
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use MIME::Base64;
use Test::More;
use Test::S3;

my $t = Test::S3->new(s3d => 'metadata_archives = 2;')->run();
my $dir = $t->dir();
my $sse = "x-amz-server-side-encryption";
my $ctl = $t->build() . "/s3ctl";
my $r;

sub rebuild {
    my $text = `$ctl --json rebuild -c $dir/s3d.conf 2>$dir/rebuild.err`;
    return $? == 0 ? decode_json($text) : undef;
}

sub lose_metadata { remove_tree(glob "$dir/drive*/metadata") }

# An s3d that ends by itself, and why.
sub refused {
    $t->spawn('refused', $t->build() . '/s3d', '-c', "$dir/s3d.conf");
    my $ended = $t->wait_for('s3d to end', sub { !$t->alive('refused') });
    delete $t->{pids}{refused};
    return $t->read_file('s3d.log');
}

sub complete {
    my ($target, $id, @etags) = @_;
    my $n = 0;
    my $xml = join '', map { $n++;
        "<Part><PartNumber>$n</PartNumber><ETag>$_</ETag></Part>" } @etags;
    return $t->post("$target?uploadId=$id", body =>
        "<CompleteMultipartUpload>$xml</CompleteMultipartUpload>");
}

sub begin_upload {
    my ($target, @headers) = @_;
    $r = $t->post("$target?uploads", headers => \@headers);
    return $r->{body} =~ m{<UploadId>(.*?)</UploadId>} ? $1 : undef;
}

sub part {
    my ($target, $id, $number, $body) = @_;
    $r = $t->put("$target?partNumber=$number&uploadId=$id", body => $body);
    return $r->{headers}{etag};
}

# --- what there is ------------------------------------------------------------

my $large = join '', map { pack 'N', $_ } 1 .. 300_000;
my @read = ([ '/bkt' ], [ '/bkt?tagging' ], [ '/bkt?policy' ],
    [ '/bkt?list-type=2&fetch-owner=true' ], [ '/ver?versions' ],
    [ '/ver?versioning' ], [ '/bkt?uploads' ], [ '/' ]);

ok($t->ctl('kms', 'key', 'add', 'k'), 'a key');
is($t->put("/$_")->{status}, 200, "bucket $_") for qw(bkt ver);
$t->put('/ver?versioning', body => '<VersioningConfiguration><Status>Enabled'
    . '</Status></VersioningConfiguration>');
my $tagging = '<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet>'
    . '</Tagging>';
is($t->put('/bkt?tagging', body => $tagging, headers =>
    [ [ 'Content-MD5' => md5_base64($tagging) . '==' ] ])->{status}, 204,
    'tags of a bucket');
$t->put('/bkt?policy', body => '{"Version":"2012-10-17","Statement":[{'
    . '"Effect":"Deny","Principal":"*","Action":"s3:GetObject",'
    . '"Resource":"arn:aws:s3:::bkt/denied"}]}');

my %objects = (
    empty => [ '' ],
    small => [ 'small', [ 'Content-Type' => 'text/x' ],
        [ 'x-amz-meta-a' => 'b' ], [ 'x-amz-tagging' => 'k=v' ],
        [ 'Cache-Control' => 'no-store' ] ],
    large => [ $large, [ 'x-amz-checksum-sha256'
        => encode_base64(Digest::SHA::sha256($large), '') ] ],
    sealed => [ $large, [ $sse => 'AES256' ] ],
    kms => [ 'of a key', [ $sse => 'aws:kms' ],
        [ "$sse-aws-kms-key-id" => 'k' ] ],
    gone => [ 'deleted' ],
);
for my $key (sort keys %objects) {
    my ($body, @headers) = @{$objects{$key}};
    is($t->put("/bkt/$key", body => $body, headers => \@headers)->{status},
        200, "put $key");
    push @read, [ "/bkt/$key", [ 'x-amz-checksum-mode' => 'ENABLED' ] ];
}
push @read, [ '/bkt/small?tagging' ];
is($t->delete('/bkt/gone')->{status}, 204, 'deleted');
is($t->put('/bkt/copy', headers => [ [ 'x-amz-copy-source' => '/bkt/large' ] ])
    ->{status}, 200, 'copied');
my @ids = map { $t->put('/ver/k', body => "version $_")
    ->{headers}{'x-amz-version-id'} } 1 .. 3;
$t->delete('/ver/k');
push @read, [ '/bkt/copy' ], [ '/ver/k' ],
    map { [ "/ver/k?versionId=$_" ] } @ids;

my $id = begin_upload('/bkt/multi', [ 'x-amz-meta-m' => 'n' ]);
my @parts = ('1' x 5_242_880, 'the end');
$r = complete('/bkt/multi', $id, part('/bkt/multi', $id, 1, $parts[0]),
    part('/bkt/multi', $id, 2, $parts[1]));
is($r->{status}, 200, 'completed');
push @read, [ '/bkt/multi' ], [ '/bkt/multi?partNumber=2' ];
my $going = begin_upload('/bkt/going');
my $first = part('/bkt/going', $going, 1, $parts[0]);
push @read, [ "/bkt/going?uploadId=$going" ];

sub all {
    my %answers;
    for (@read) {
        my ($target, @headers) = @$_;
        $r = $t->get($target, headers => \@headers);
        delete @{$r->{headers}}{qw(date x-amz-request-id x-amz-id-2)};
        (my $body = $r->{body}) =~ s{<(RequestId|HostId)>.*?</\1>}{}g;
        $answers{$target} = [ $r->{status}, $r->{headers},
            length $body > 10_000 ? md5_hex($body) : $body ];
    }
    return \%answers;
}

my $before = all();
is($before->{"/bkt/$_"}[0], 200, "$_ is there")
    for qw(empty small large sealed kms copy multi);
is($before->{'/bkt/gone'}[0], 404, 'one is not');

# --- everything, after an orderly end -----------------------------------------

is(rebuild(), undef, 'not while s3d runs');
$t->stop('s3d');
is(rebuild(), undef, 'nor over metadata that are there');
like($t->read_file('rebuild.err'), qr/is not empty: move it away/, 'it says so');
lose_metadata();
like(refused(), qr/the metadata are gone.*s3ctl rebuild/, 'no start without');
my $report = rebuild();
ok($report, 'rebuilt') or diag($t->read_file('rebuild.err'));
ok($report->{archive}, 'from an archive');
is_deeply([ map { sprintf '%o', (stat $_)[2] & 07777 } glob "$dir/drive*/archive" ],
    [ ('700') x 2 ], 'which is s3d\'s alone, as all metadata');
is($report->{$_}, 0, "no $_") for qw(extents_bad shards_bad blobs_moved
    blobs_short blobs_unreadable objects_restored buckets_restored
    blobs_left);
is_deeply($report->{findings}, [], 'no findings');
$t->start_s3d();
is_deeply(all(), $before, 'everything is as it was');
$r = complete('/bkt/going', $going, $first);
is($r->{status}, 200, 'an upload goes on');
is($t->get('/bkt/going')->{body}, $parts[0], 'to its end');
is($t->put('/bkt/later', body => 'later')->{status}, 200, 'writes go on');

# --- killed, a drive lost -----------------------------------------------------

is($t->put("/bkt/late$_", body => "late $_", headers =>
    [ [ 'x-amz-meta-n' => $_ ] ])->{status}, 200, "late $_") for 1 .. 5;
# Two of three mirrors fail at once: what is left is read, and nothing written.
rename "$dir/drive$_/metadata", "$dir/away$_" for 1, 2;
$r = $t->put('/bkt/refused', body => 'refused');
is("$r->{status} $r->{code}", '503 ServiceUnavailable', 'no write');
is($t->delete('/bkt/late1')->{status}, 503, 'no delete');
is($t->get('/bkt/large')->{body}, $large, 'reads go on');
like($t->get('/bkt')->{body}, qr{<Key>late5</Key>}, 'lists go on');
my $metadata = $t->ctl('status')->{metadata};
ok($metadata->{read_only}, 'the status says so');
is(join(' ', map { $_->{state} } @{$metadata->{mirrors}}),
    'member failed failed', 'and which');
$t->stop('s3d', 'KILL');
lose_metadata();
remove_tree("$dir/drive5");
$t->write_file('drive0/metadata.note', 'not ours');
mkdir "$dir/drive0/metadata";
$t->write_file('drive0/metadata/rebuilding', '');
like(refused(), qr/a rebuild of the metadata did not end/, 'a mark is seen');
$report = rebuild();
ok($report && $report->{archive}, 'rebuilt from the other archive');
ok($report->{blobs_short} > 0, 'what was on the drive is queued for healing');
$t->start_s3d();
for my $n (1 .. 5) {
    $r = $t->get("/bkt/late$n");
    is("$r->{status} $r->{body} $r->{headers}{'x-amz-meta-n'} "
        . $r->{headers}{etag}, "200 late $n $n \"" . md5_hex("late $n") . '"',
        "late $n");
}
is($t->get('/bkt/large')->{body}, $large, 'and what is old');
is_deeply($t->ctl(qw(usage verify))->{differences}, [], 'usage is right');

# --- no archive ---------------------------------------------------------------

$t->stop('s3d');
lose_metadata();
remove_tree(glob "$dir/drive*/archive");
$report = rebuild();
ok($report && !$report->{archive}, 'rebuilt from shards alone');
is($report->{buckets_restored}, 2, 'two buckets');
my @named = map { "$_->{bucket}/$_->{key}" }
    grep { $_->{what} eq 'restored' } @{$report->{findings}};
ok((grep { $_ eq 'bkt/small' } @named), 'what may have been deleted is named');
$t->start_s3d();
my $user = $t->ctl('account', 'add', 'root', '--operator');
@$t{qw(access_key secret_key)} = @$user{qw(access_key secret_key)};
for my $key (qw(small large)) {
    my ($status, $headers, $body) = @{$before->{"/bkt/$key"}};
    $r = $t->get("/bkt/$key", headers => [ [ 'x-amz-checksum-mode'
        => 'ENABLED' ] ]);
    delete @{$r->{headers}}{qw(date x-amz-request-id x-amz-id-2)};
    delete $_->{'last-modified'} for $headers, $r->{headers};
    is_deeply([ $r->{status}, $r->{headers}, length $r->{body} > 10_000
        ? md5_hex($r->{body}) : $r->{body} ], [ $status, $headers, $body ],
        "$key, header for header");
}
is($t->get('/bkt/sealed')->{body}, $large, 'SSE-S3');
is($t->get('/bkt/kms')->{body}, 'of a key', 'SSE-KMS');
my @versions = $t->get('/ver?versions')->{body} =~ m{<VersionId>(\w+)<}g;
is(@versions, 3, 'versions');
is($t->get("/ver/k?versionId=$versions[2]")->{body}, 'version 1', 'in order');
is($t->get('/bkt?uploads')->{body} =~ s/<UploadId>//g, 2,
    'multipart objects are uploads again');
$r = complete('/bkt/multi', $id, map { '"' . md5_hex($_) . '"' } @parts);
is($r->{status}, 200, 'which can be completed');
$r = $t->get('/bkt/multi');
is($r->{body}, join('', @parts), 'as it was');
is($r->{headers}{'x-amz-meta-m'}, 'n', 'with its metadata');
is_deeply($t->ctl(qw(usage verify))->{differences}, [], 'usage is right');
$t->done();
