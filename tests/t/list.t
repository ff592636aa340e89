#!/usr/bin/perl

# Buckets and listings.

use strict;
use warnings;

use Digest::MD5 qw(md5_base64);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $r;

# Buckets.
is($t->put('/bk1')->{status}, 200, 'create');
$r = $t->put('/bk1');
is($r->{status}, 200, 'create again in us-east-1');
is($t->put('/bk2', body => '<CreateBucketConfiguration '
    . 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></CreateBucketConfiguration>')
    ->{status}, 200, 'with a document');
$r = $t->get('/');
my @names = $r->{body} =~ m{<Name>(.*?)</Name>}g;
is_deeply(\@names, [ 'bk1', 'bk2' ], 'list buckets');
like($r->{body}, qr{<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">},
    'root element');
like($r->{body}, qr{<CreationDate>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z</}, 'date');
@names = $t->get('/?prefix=bk2')->{body} =~ m{<Name>(.*?)</Name>}g;
is_deeply(\@names, [ 'bk2' ], 'with a prefix');
$r = $t->get('/?max-buckets=1');
@names = $r->{body} =~ m{<Name>(.*?)</Name>}g;
is_deeply(\@names, [ 'bk1' ], 'max-buckets');
my ($token) = $r->{body} =~ m{<ContinuationToken>(.*?)</ContinuationToken>};
@names = $t->get('/?max-buckets=1&continuation-token='
    . Test::S3::uri_escape($token))->{body} =~ m{<Name>(.*?)</Name>}g;
is_deeply(\@names, [ 'bk2' ], 'and the next page');
$r = $t->head('/bk1');
is($r->{status}, 200, 'head bucket');
is($r->{headers}{'x-amz-bucket-region'}, 'us-east-1', 'its region');
is($t->head('/nosuch')->{status}, 404, 'head of none');
like($t->get('/bk1?location')->{body}, qr{<LocationConstraint}, 'location');
is($t->delete('/bk2')->{status}, 204, 'delete');
is($t->delete('/bk2')->{code}, 'NoSuchBucket', 'delete again');

# Objects.
my @keys = ('a', 'b/1', 'b/2', 'b/3/x', 'c', 'd/1', 'd/2', 'e', 'z%C3%A9');
$t->put("/bk1/$_", body => $_) for @keys;
$r = $t->delete('/bk1');
is("$r->{status} $r->{code}", '409 BucketNotEmpty', 'not empty');

sub list {
    my ($query) = @_;
    $r = $t->get("/bk1?$query");
    return join ' ', $r->{body} =~ m{<(?:Key|Prefix)>([^<]+)</(?:Key|Prefix)>}g;
}

sub keys_of { return join ' ', $r->{body} =~ m{<Contents>.*?<Key>(.*?)</Key>}gs }
sub prefixes_of {
    return join ' ', $r->{body} =~ m{<CommonPrefixes>\s*<Prefix>(.*?)</Prefix>}gs;
}
sub element {
    my ($name) = @_;
    my ($value) = $r->{body} =~ m{<$name>(.*?)</$name>}s;
    return $value;
}

list('list-type=2');
is(keys_of(), "a b/1 b/2 b/3/x c d/1 d/2 e z\xc3\xa9", 'everything');
is(element('KeyCount'), 9, 'key count');
is(element('IsTruncated'), 'false', 'not truncated');
is(element('MaxKeys'), 1000, 'max keys');
is(element('Name'), 'bk1', 'name');
like($r->{body}, qr{<Size>1</Size>}, 'size');
like($r->{body}, qr{<ETag>(&quot;|")[0-9a-f]{32}(&quot;|")</ETag>}, 'quoted ETag');
like($r->{body}, qr{<StorageClass>STANDARD</StorageClass>}, 'class');
unlike($r->{body}, qr{<Owner>}, 'no owner in v2');
list('list-type=2&fetch-owner=true');
like($r->{body}, qr{<Owner>.*<ID>[0-9a-f]{64}</ID>}s, 'owner on request');

for my $version ('', 'list-type=2&') {
    list("${version}delimiter=/");
    is(keys_of(), "a c e z\xc3\xa9", "$version keys");
    is(prefixes_of(), 'b/ d/', "$version prefixes");
    list("${version}delimiter=/&prefix=b/");
    is(keys_of(), 'b/1 b/2', "$version keys below");
    is(prefixes_of(), 'b/3/', "$version prefixes below");
    list("${version}prefix=b");
    is(keys_of(), 'b/1 b/2 b/3/x', "$version prefix");
    list("${version}max-keys=0");
    is(keys_of() . element('IsTruncated'), 'false', "$version max-keys=0");
    list("${version}max-keys=5000");
    is(element('MaxKeys'), 1000, "$version capped");
    for my $bad ('max-keys=blah', 'max-keys=-1', 'encoding-type=xml') {
        list("$version$bad");
        is("$r->{status} $r->{code}", '400 InvalidArgument', "$version$bad");
        like($r->{body}, qr{<ArgumentName>}, 'argument named');
        like($r->{body}, qr{<ArgumentValue>}, 'and its value');
    }
    list("${version}encoding-type=url&prefix=z");
    is(keys_of(), 'z%C3%A9', "$version encoded");
}

# Pages: a common prefix counts as one.
list('list-type=2&delimiter=/&max-keys=2');
is(keys_of() . '|' . prefixes_of(), 'a|b/', 'first page');
is(element('IsTruncated'), 'true', 'truncated');
$token = Test::S3::uri_escape(element('NextContinuationToken'));
list("list-type=2&delimiter=/&max-keys=2&continuation-token=$token");
is(keys_of() . '|' . prefixes_of(), 'c|d/', 'second page');
$t->stop('s3d');
$t->start_s3d();
$t->wait_for('s3d', sub { $t->get('/')->{status} == 200 });
list("list-type=2&delimiter=/&max-keys=2&continuation-token=$token&start-after=z");
is(keys_of() . '|' . prefixes_of(), 'c|d/', 'the token survives a restart, and wins');
list('list-type=2&continuation-token=nonsense');
is("$r->{status} $r->{code}", '400 InvalidArgument', 'a bad token');

list('list-type=2&start-after=b');
is(keys_of(), "b/1 b/2 b/3/x c d/1 d/2 e z\xc3\xa9", 'start-after need not exist');
list('marker=c&max-keys=2');
is(keys_of(), 'd/1 d/2', 'v1 marker');
is(element('NextMarker'), undef, 'no NextMarker without delimiter');
list('delimiter=/&max-keys=2');
is(element('NextMarker'), 'b/', 'NextMarker with delimiter');
list('delimiter=/&marker=b/&max-keys=2');
is(keys_of() . '|' . prefixes_of(), 'c|d/', 'goes on behind it');

# DeleteObjects.
sub delete_objects {
    my ($xml, @o) = @_;
    return $r = $t->post('/bk1?delete', body => $xml,
        headers => [ [ 'Content-MD5' => md5_base64($xml) . '==' ] ], @o);
}
delete_objects('<Delete><Object><Key>a</Key></Object>'
    . '<Object><Key>nosuch</Key></Object></Delete>');
is($r->{status}, 200, 'delete objects');
my @deleted = $r->{body} =~ m{<Deleted>\s*<Key>(.*?)</Key>}g;
is_deeply(\@deleted, [ 'a', 'nosuch' ], 'absent keys are deleted too');
delete_objects('<Delete><Quiet>true</Quiet><Object><Key>c</Key></Object></Delete>');
unlike($r->{body}, qr{<Deleted>}, 'quiet');
is($t->get('/bk1/c')->{status}, 404, 'but done');
delete_objects('<Delete>' . '<Object><Key>x</Key></Object>' x 1001 . '</Delete>');
is("$r->{status} $r->{code}", '400 MalformedXML', 'over 1000 keys');
delete_objects('<Delete></Delete>');
is("$r->{status} $r->{code}", '400 MalformedXML', 'no key');
$r = $t->post('/bk1?delete', body => '<Delete><Object><Key>e</Key></Object></Delete>');
is("$r->{status} $r->{code}", '400 InvalidRequest', 'without a checksum');
is($t->get('/bk1/e')->{status}, 200, 'nothing happened');

$t->done();
