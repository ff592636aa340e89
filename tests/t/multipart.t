#!/usr/bin/perl

# The multipart family: uploads, parts, completion, its errors and repeats.

use strict;
use warnings;

use Digest::MD5 qw(md5 md5_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $MIN = 5 << 20;
my $r;

$t->put('/bkt');

sub create {
    my ($target, @o) = @_;
    $r = $t->post("$target?uploads", @o);
    is($r->{status}, 200, "create $target");
    my ($id) = $r->{body} =~ m{<UploadId>(.+?)</UploadId>};
    return $id;
}

sub part {
    my ($target, $id, $number, $body, @o) = @_;
    $r = $t->put("$target?partNumber=$number&uploadId=$id", body => $body, @o);
    return $r->{headers}{etag};
}

sub complete {
    my ($target, $id, @parts) = @_;
    my @o = ref $parts[-1] eq 'HASH' ? %{ pop @parts } : ();
    my $xml = '<CompleteMultipartUpload>' . join('', map {
        "<Part><PartNumber>$_->[0]</PartNumber><ETag>$_->[1]</ETag></Part>"
    } @parts) . '</CompleteMultipartUpload>';
    return $t->post("$target?uploadId=$id", body => $xml, @o);
}

my $one = join '', map { pack 'N', $_ } 1 .. $MIN / 4;
my $two = 'the second part';
my $id = create('/bkt/k', headers => [ [ 'Content-Type' => 'text/x' ],
    [ 'x-amz-meta-m' => 'v' ] ]);
like($r->{body}, qr{<Bucket>bkt</Bucket>.*<Key>k</Key>}s, 'names bucket and key');
my $e1 = part('/bkt/k', $id, 1, $one);
is($r->{status}, 200, 'part 1');
is($e1, '"' . md5_hex($one) . '"', 'its ETag');
my $e2 = part('/bkt/k', $id, 7, 'replaced soon');
$e2 = part('/bkt/k', $id, 7, $two);
is($e2, '"' . md5_hex($two) . '"', 'a part is replaced');

is($t->get('/bkt/k')->{status}, 404, 'not there before it is complete');
unlike($t->get('/bkt?list-type=2')->{body}, qr/<Key>/, 'nor listed');
like($t->get('/bkt?uploads')->{body}, qr{<Key>k</Key>\s*<UploadId>\Q$id\E</UploadId>},
    'but among the uploads');
$r = $t->get("/bkt/k?uploadId=$id");
my @numbers = $r->{body} =~ m{<PartNumber>(\d+)</PartNumber>}g;
is_deeply(\@numbers, [ 1, 7 ], 'parts listed');
$r = $t->get("/bkt/k?uploadId=$id&max-parts=1");
like($r->{body}, qr{<NextPartNumberMarker>1</NextPartNumberMarker>}, 'marker');
like($r->{body}, qr{<IsTruncated>true</IsTruncated>}, 'truncated');
$r = $t->get("/bkt/k?uploadId=$id&part-number-marker=1");
@numbers = $r->{body} =~ m{<PartNumber>(\d+)</PartNumber>}g;
is_deeply(\@numbers, [ 7 ], 'marker is exclusive');

for (
    [ '400 InvalidPartOrder', [ 7, $e2 ], [ 1, $e1 ] ],
    [ '400 InvalidPartOrder', [ 1, $e1 ], [ 1, $e1 ] ],
    [ '400 InvalidPart', [ 1, $e1 ], [ 2, $e2 ] ],
    [ '400 InvalidPart', [ 1, $e2 ], [ 7, $e2 ] ],
    [ '400 MalformedXML' ],
) {
    my ($expected, @parts) = @$_;
    $r = complete('/bkt/k', $id, @parts);
    is("$r->{status} $r->{code}", $expected, $expected);
    if ($expected =~ /InvalidPart$/) {
        like($r->{body}, qr{<UploadId>\Q$id\E</UploadId>}, 'upload named');
        like($r->{body}, qr{<PartNumber>\d</PartNumber>}, 'part named');
        like($r->{body}, qr{<ETag>}, 'ETag named');
    }
}
$r = $t->post("/bkt/k?uploadId=$id", body => '<CompleteMultipartUpload><Part>');
is("$r->{status} $r->{code}", '400 MalformedXML', 'broken XML');
$r = $t->post("/bkt/k?uploadId=$id", body => '<!DOCTYPE x [<!ENTITY e "x">]>'
    . '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&e;</ETag>'
    . '</Part></CompleteMultipartUpload>');
is("$r->{status} $r->{code}", '400 MalformedXML', 'a DTD is refused');

my $etag = '"' . md5_hex(md5($one) . md5($two)) . '-2"';
$r = complete('/bkt/k', $id, [ 1, $e1 ], [ 7, $e2 ]);
is($r->{status}, 200, 'complete');
(my $plain = $r->{body}) =~ s/&quot;/"/g;
like($plain, qr{<ETag>\Q$etag\E</ETag>}, 'ETag of ETags, quoted');
like($r->{body}, qr{<Location>http://[^<]+/bkt/k</Location>}, 'location');
$r = $t->get('/bkt/k');
ok($r->{body} eq $one . $two, 'both parts in order');
is($r->{headers}{etag}, $etag, 'ETag');
is($r->{headers}{'content-type'}, 'text/x', 'type given at creation');
is($r->{headers}{'x-amz-meta-m'}, 'v', 'metadata given at creation');

$r = complete('/bkt/k', $id, [ 1, $e1 ], [ 7, $e2 ]);
is($r->{status}, 200, 'the same completion again');
$r = complete('/bkt/k', $id, [ 1, $e1 ]);
is("$r->{status} $r->{code}", '404 NoSuchUpload', 'another one');
$r = part('/bkt/k', $id, 1, 'late');
is($t->get("/bkt/k?uploadId=$id")->{code}, 'NoSuchUpload', 'the upload is gone');
$r = $t->delete("/bkt/k?uploadId=$id");
is("$r->{status} $r->{code}", '404 NoSuchUpload', 'abort touches nothing');
ok($t->get('/bkt/k')->{body} eq $one . $two, 'the object is whole');

# Ranges and parts of a multipart object.
my $place = $MIN - 3;
$r = $t->get('/bkt/k', headers => [ [ Range => "bytes=$place-" . ($MIN + 3) ] ]);
is($r->{status}, 206, 'a range over the seam');
is($r->{body}, substr($one . $two, $place, 7), 'its bytes');
$r = $t->get('/bkt/k?partNumber=2');
is($r->{status}, 206, 'part 2');
is($r->{body}, $two, 'its bytes');
is($r->{headers}{'x-amz-mp-parts-count'}, 2, 'number of parts');
is($r->{headers}{'content-range'},
    "bytes $MIN-" . ($MIN + length($two) - 1) . '/' . ($MIN + length $two), 'place');

# Small parts, part numbers.
$id = create('/bkt/small');
my $a = part('/bkt/small', $id, 1, 'tiny');
my $z = part('/bkt/small', $id, 2, 'tiny');
$r = complete('/bkt/small', $id, [ 1, $a ], [ 2, $z ]);
is("$r->{status} $r->{code}", '400 EntityTooSmall', 'only the last may be small');
for my $number (0, 10001, 'x') {
    part('/bkt/small', $id, $number, 'x');
    is("$r->{status} $r->{code}", '400 InvalidArgument', "part number $number");
}
is($t->delete("/bkt/small?uploadId=$id")->{status}, 204, 'abort');
is($t->get("/bkt/small?uploadId=$id")->{code}, 'NoSuchUpload', 'aborted');
unlike($t->get('/bkt?uploads')->{body}, qr{<Upload>}, 'no upload is left');

# A condition that fails leaves the upload.
$id = create('/bkt/k');
$a = part('/bkt/k', $id, 1, 'new');
$r = complete('/bkt/k', $id, [ 1, $a ], { headers => [ [ 'If-None-Match' => '*' ] ] });
is("$r->{status} $r->{code}", '412 PreconditionFailed', 'If-None-Match');
is($t->delete("/bkt/k?uploadId=$id")->{status}, 204, 'still abortable');
ok($t->get('/bkt/k')->{body} eq $one . $two, 'nothing was changed');

# UploadPartCopy.
$id = create('/bkt/copied');
$r = $t->put("/bkt/copied?partNumber=1&uploadId=$id",
    headers => [ [ 'x-amz-copy-source' => '/bkt/k' ],
        [ 'x-amz-copy-source-range' => 'bytes=0-' . ($MIN - 1) ] ]);
is($r->{status}, 200, 'a range is copied');
my ($c1) = $r->{body} =~ m{<ETag>(.*?)</ETag>};
is($c1 =~ s/&quot;/"/gr, $e1, 'its ETag, quoted');
$r = $t->put("/bkt/copied?partNumber=2&uploadId=$id",
    headers => [ [ 'x-amz-copy-source' => '/bkt/k' ],
        [ 'x-amz-copy-source-range' => 'bytes=' . ($MIN - 5) . '-' . ($MIN + 4) ] ]);
my ($c2) = $r->{body} =~ m{<ETag>(.*?)</ETag>};
$r = $t->put("/bkt/copied?partNumber=3&uploadId=$id",
    headers => [ [ 'x-amz-copy-source' => '/bkt/k' ],
        [ 'x-amz-copy-source-range' => 'bytes=0-99999999' ] ]);
is($r->{status}, 400, 'a range past the end is refused');
$r = complete('/bkt/copied', $id, [ 1, $c1 ], [ 2, $c2 ]);
is($r->{status}, 200, 'complete');
$t->delete('/bkt/k');
ok($t->get('/bkt/copied')->{body} eq $one . substr($one . $two, $MIN - 5, 10),
    'the copy outlives the source');

$t->done();
