#!/usr/bin/perl

# Ways to what is closed: anonymous writes, public access blocks and how lists
# might get past them, forms with more than their policy says, other people's
# uploads and copies, and what refusals could tell.

use strict;
use warnings;

use Digest::MD5 qw(md5_base64);
use Digest::SHA qw(hmac_sha256_hex sha256_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use MIME::Base64;
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $denied = '403 AccessDenied';
my $r;

sub status {
    my ($r) = @_;
    return "$r->{status} " . ($r->{code} // '');
}

sub answers {
    my ($r, $expected, $name) = @_;
    is(status($r), $expected, $name);
    return $r;
}

sub policy {
    my ($bucket, @statements) = @_;
    return $t->put("/$bucket?policy", body => encode_json(
        { Version => '2012-10-17', Statement => \@statements }));
}

sub allow {
    my ($principal, $action, $resource, %more) = @_;
    return { Effect => 'Allow', Principal => $principal, Action => $action,
        Resource => "arn:aws:s3:::$resource", %more };
}

sub block {
    my ($bucket, @settings) = @_;
    my $document = '<PublicAccessBlockConfiguration>'
        . join('', map { "<$_>true</$_>" } @settings) . '</PublicAccessBlockConfiguration>';
    return $t->put("/$bucket?publicAccessBlock", body => $document,
        headers => [ [ 'Content-MD5' => md5_base64($document) . '==' ] ]);
}

sub ownership {
    my ($bucket, $value) = @_;
    my $document = '<OwnershipControls><Rule><ObjectOwnership>' . $value
        . '</ObjectOwnership></Rule></OwnershipControls>';
    return $t->put("/$bucket?ownershipControls", body => $document,
        headers => [ [ 'Content-MD5' => md5_base64($document) . '==' ] ]);
}

sub header { return (headers => [ [ @_ ] ]) }

my $other = $t->ctl('account', 'add', 'other');
my @as = (access_key => $other->{access_key}, secret_key => $other->{secret_key});
my $stranger = { CanonicalUser => $other->{canonical_id} // $other->{id} };
my $everybody = 'http://acs.amazonaws.com/groups/global/AllUsers';
my $anybody = 'http://acs.amazonaws.com/groups/global/AuthenticatedUsers';

$t->put("/$_") for qw(bkt open);
$t->put('/bkt/k', body => 'secret data');
$t->delete('/open?publicAccessBlock');
ownership('open', 'ObjectWriter');

# --- lists past a block -----------------------------------------------------------

# Nothing that makes a list public gets past BlockPublicAcls, in whatever form.
block('open', 'BlockPublicAcls');
my @public = (
    [ 'x-amz-acl' => 'public-read' ],
    [ 'x-amz-acl' => 'public-read-write' ],
    [ 'x-amz-acl' => 'authenticated-read' ],
    [ 'x-amz-grant-read' => "uri=\"$everybody\"" ],
    [ 'x-amz-grant-read' => "uri=$anybody" ],
    [ 'x-amz-grant-full-control' => "id=$stranger->{CanonicalUser}, uri=\"$everybody\"" ],
    [ 'x-amz-grant-read-acp' => "uri=$everybody" ],
    [ 'x-amz-grant-write-acp' => "uri=$everybody" ],
);
$t->put('/open/k', body => 'x');
for my $list (@public) {
    my $name = "$list->[0]: " . substr $list->[1], 0, 30;
    answers($t->put('/open/in', header(@$list), body => 'x'), $denied, "PUT $name");
    answers($t->put('/open/in', headers => [ $list, [ 'x-amz-copy-source' => '/open/k' ] ]),
        $denied, "copy $name");
    answers($t->post('/open/in?uploads', header(@$list)), $denied, "upload $name");
    answers($t->put('/open/k?acl', header(@$list)), $denied, "object's $name");
    answers($t->put('/open?acl', header(@$list)), $denied, "bucket's $name");
}
for my $group ($everybody, $anybody) {
    my ($id) = $t->get('/open?acl')->{body} =~ m{<ID>(.*?)</ID>};
    my $document = "<AccessControlPolicy><Owner><ID>$id</ID></Owner><AccessControlList>"
        . '<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        . "xsi:type=\"Group\"><URI>$group</URI></Grantee><Permission>READ</Permission>"
        . '</Grant></AccessControlList></AccessControlPolicy>';
    for my $target ('/open?acl', '/open/k?acl') {
        answers($t->put($target, body => $document, header('Content-MD5',
            md5_base64($document) . '==')), $denied, "PUT $target, a document");
    }
}
answers($t->get('/open/in'), '404 NoSuchKey', 'nothing of it is stored');
answers($t->get('/open/k', sign => 0), $denied, 'nor public');

# A list from before the block is not what the block is for; IgnorePublicAcls is.
$t->delete('/open?publicAccessBlock');
$t->put('/open/k', header('x-amz-acl' => 'public-read'), body => 'x');
($r) = $t->post('/open/big?uploads', header('x-amz-acl' => 'public-read'))->{body}
    =~ m{<UploadId>(.*?)</UploadId>};
my $etag = $t->put("/open/big?partNumber=1&uploadId=$r", body => 'x')->{headers}{etag};
is($t->get('/open/k', sign => 0)->{status}, 200, 'public');
block('open', 'IgnorePublicAcls');
is($t->post("/open/big?uploadId=$r", body => '<CompleteMultipartUpload><Part>'
    . "<PartNumber>1</PartNumber><ETag>$etag</ETag></Part></CompleteMultipartUpload>")
    ->{status}, 200, 'an upload that began as public');
answers($t->get("/open/$_", sign => 0), $denied, "and is not: $_") for qw(k big);
answers($t->get('/open/k', @as), $denied, 'to anybody with a key neither');

# --- public policies that do not look so ---------------------------------------------

my %seems = (
    'nobody but nobody' => { Effect => 'Allow', NotPrincipal => { AWS => '111122223333' },
        Action => 's3:GetObject', Resource => 'arn:aws:s3:::bkt/*' },
    'a list' => allow({ AWS => [ '111122223333', '*' ] }, 's3:GetObject', 'bkt/*'),
    'all addresses' => allow('*', 's3:GetObject', 'bkt/*',
        Condition => { IpAddress => { 'aws:SourceIp' => [ '0.0.0.0/1', '128.0.0.0/1' ] } }),
    'a wide one among narrow' => allow('*', 's3:GetObject', 'bkt/*',
        Condition => { IpAddress => { 'aws:SourceIp' => [ '10.0.0.0/24', '::/0' ] } }),
    'not this address' => allow('*', 's3:GetObject', 'bkt/*',
        Condition => { NotIpAddress => { 'aws:SourceIp' => '10.0.0.0/24' } }),
    'if it exists' => allow('*', 's3:GetObject', 'bkt/*',
        Condition => { StringEqualsIfExists => { 'aws:PrincipalAccount' => '111122223333' } }),
    'for all of none' => allow('*', 's3:GetObject', 'bkt/*',
        Condition => { 'ForAllValues:StringEquals' =>
            { 'aws:PrincipalAccount' => '111122223333' } }),
    'where it is missing' => allow('*', 's3:GetObject', 'bkt/*',
        Condition => { Null => { 'aws:PrincipalAccount' => 'true' } }),
    'a wildcard' => allow('*', 's3:GetObject', 'bkt/*',
        Condition => { StringLike => { 'aws:PrincipalAccount' => '1*' } }),
    'itself' => allow('*', 's3:GetObject', 'bkt/*',
        Condition => { StringEquals => { 'aws:userid' => '${aws:userid}' } }),
    'a referer' => allow('*', 's3:GetObject', 'bkt/*',
        Condition => { StringLike => { 'aws:Referer' => 'http://www.example.com/*' } }),
    'TLS' => allow('*', 's3:GetObject', 'bkt/*',
        Condition => { Bool => { 'aws:SecureTransport' => 'false' } }),
    'a key that anybody can name' => allow('*', 's3:PutObject', 'bkt/*',
        Condition => { StringEquals =>
            { 's3:x-amz-server-side-encryption-aws-kms-key-id' => 'aws/s3' } }),
    'until later' => allow('*', 's3:GetObject', 'bkt/*',
        Condition => { DateLessThan => { 'aws:CurrentTime' => '2099-01-01T00:00:00Z' } }),
);
for my $name (sort keys %seems) {
    answers(policy('bkt', $seems{$name}), $denied, "a policy for $name");
}
answers($t->get('/bkt?policy'), '404 NoSuchBucketPolicy', 'none of them is there');

# Documents that two readers could read in two ways.
my $deny = '"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::bkt/*"';
for (
    [ 'a field twice', qq({"Statement":[{$deny,"Effect":"Allow"}]}) ],
    [ 'a statement twice', qq({"Statement":[{$deny}],"Statement":[]}) ],
    [ 'a small letter', qq({"Statement":[{$deny,"condition":{}}]}) ],
    [ 'an operator\'s small letter', qq({"Statement":[{$deny,"Condition":{"stringequals":)
        . '{"aws:userid":"x"}}}]}' ],
    [ 'something behind it', qq({"Statement":[{$deny}]}{"Statement":[]}) ],
    [ 'a NUL', qq({"Statement":[{"Sid":"a\\u0000b",$deny}]}) ],
    [ 'a mark before it', qq(\xef\xbb\xbf{"Statement":[{$deny}]}) ],
    [ 'half a pair', qq({"Statement":[{"Sid":"\\ud800",$deny}]}) ],
    [ 'bytes that are no text', qq({"Statement":[{"Sid":"\xff",$deny}]}) ],
    [ 'a comment', qq({/*x*/"Statement":[{$deny}]}) ],
    [ 'another bucket', $deny =~ s{:::bkt/}{:::open/}r =~ s/(.*)/{"Statement":[{$1}]}/r ],
    [ 'all buckets', $deny =~ s{arn:aws:s3:::bkt/\*}{*}r =~ s/(.*)/{"Statement":[{$1}]}/r ],
    [ 'a principal with a wildcard', $deny =~ s{"\*"}{{"AWS":"arn:aws:iam::*:root"}}r
        =~ s/(.*)/{"Statement":[{$1}]}/r ],
) {
    answers($t->put('/bkt?policy', body => $_->[1]), '400 MalformedPolicy', $_->[0]);
}

# --- what nobody may write ---------------------------------------------------------------

$t->delete('/bkt?publicAccessBlock');
is(policy('bkt', allow('*', [ 's3:PutObject', 's3:PutObjectAcl' ], 'bkt/drop/*'))->{status}, 204,
    'a drop box');
my @nobody = (sign => 0);
is($t->put('/bkt/drop/a', @nobody, body => 'a')->{status}, 200, 'takes');
answers($t->get('/bkt/drop/a', @nobody), $denied, 'and does not give');
for (
    [ 'another key', PUT => '/bkt/k', body => 'x' ],
    [ 'the prefix itself', PUT => '/bkt/drop', body => 'x' ],
    [ 'a way out', PUT => '/bkt/drop/../k', body => 'x', expected => '200 ' ],
    [ 'a copy', PUT => '/bkt/drop/c', header('x-amz-copy-source' => '/bkt/k') ],
    [ 'a part that copies', PUT => '/bkt/drop/c?partNumber=1&uploadId=x',
        header('x-amz-copy-source' => '/bkt/k') ],
    [ 'an upload', POST => '/bkt/drop/c?uploads' ],
    [ 'tags', PUT => '/bkt/drop/c', header('x-amz-tagging' => 'a=b'), body => 'x' ],
    [ 'tags of what is there', PUT => '/bkt/drop/a?tagging', body => '<Tagging><TagSet/></Tagging>',
        header('Content-MD5' => md5_base64('<Tagging><TagSet/></Tagging>') . '==') ],
    [ 'a tag that is asked for', PUT => '/bkt/drop/a', header('If-Match' => '"x"'),
        body => 'x' ],
    [ 'a delete', DELETE => '/bkt/drop/a' ],
    [ 'a list', GET => '/bkt?prefix=drop/' ],
    [ 'a policy', PUT => '/bkt?policy', body => '{}' ],
    [ 'a hold', PUT => '/bkt/drop/a', header('x-amz-object-lock-legal-hold' => 'ON'),
        body => 'x' ],
) {
    my ($name, $method, $target, %o) = @$_;
    my $expected = delete $o{expected} // $denied;
    answers($t->request($method, $target, @nobody, %o), $expected, "nobody: $name");
}
is($t->get('/bkt/k')->{body}, 'secret data', 'what was closed is as it was');
is($t->get('/bkt/drop/../k')->{body}, 'x', 'a way out is a key of its own');

# --- forms -------------------------------------------------------------------------------

our $when = Test::S3::amz_date();
our $credential = "$t->{access_key}/" . substr($when, 0, 8) . '/us-east-1/s3/aws4_request';

# A form whose policy lets user/ be written, with more or other than it says.
sub form {
    my (%o) = @_;
    my @fields = ([ key => $o{key} // 'user/in' ], [ 'x-amz-algorithm' => 'AWS4-HMAC-SHA256' ],
        [ 'x-amz-credential' => $credential ], [ 'x-amz-date' => $when ]);
    my $policy = encode_base64(encode_json({ expiration => $o{expires}
            // '2099-01-01T00:00:00Z', conditions => [ { bucket => 'bkt' },
        [ 'starts-with', '$key', 'user/' ], (map { { $_->[0] => $_->[1] } } @fields[ 1 .. 3 ]),
        @{ $o{conditions} // [] } ] }), '');
    my $key = Test::S3::signing_key($t->{secret_key}, substr($when, 0, 8), 'us-east-1');
    push @fields, [ policy => $policy ], [ 'x-amz-signature' => $o{signature}
        // hmac_sha256_hex($policy, $key) ], @{ $o{fields} // [] };
    my $body = join '', map { "--b\r\nContent-Disposition: form-data; name=\"$_->[0]\"\r\n\r\n"
        . "$_->[1]\r\n" } @fields;
    $body .= "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\""
        . ($o{filename} // 'f') . "\"\r\n\r\nx\r\n--b--\r\n";
    return $t->post($o{target} // '/bkt', sign => 0, body => $body, headers => [
        [ 'Content-Type' => 'multipart/form-data; boundary=b' ], @{ $o{headers} // [] } ]);
}

is(form()->{status}, 204, 'a form');
for (
    [ 'another key', $denied, key => 'other/in' ],
    [ 'a key that the file\'s name makes', $denied, key => '${filename}', filename => 'k' ],
    [ 'two keys', '400 InvalidArgument', fields => [ [ key => 'other/in' ] ] ],
    [ 'two keys, one in capitals', '400 InvalidArgument', fields => [ [ KEY => 'other/in' ] ] ],
    [ 'a list', $denied, fields => [ [ acl => 'public-read' ] ] ],
    [ 'tags', $denied, fields => [ [ tagging => '<Tagging><TagSet/></Tagging>' ] ] ],
    [ 'metadata', $denied, fields => [ [ 'x-amz-meta-a' => 'b' ] ] ],
    [ 'a type', $denied, fields => [ [ 'Content-Type' => 'text/html' ] ] ],
    [ 'a redirect', $denied, fields => [ [ success_action_redirect => 'http://a/' ] ] ],
    [ 'an old policy', $denied, expires => '2020-01-01T00:00:00Z' ],
    [ 'another signature', '403 SignatureDoesNotMatch', signature => '0' x 64 ],
    [ 'no signature', '403 SignatureDoesNotMatch', signature => '' ],
    [ 'another bucket', $denied, target => '/open' ],
) {
    my ($name, $expected, %o) = @$_;
    answers(form(%o), $expected, "a form with $name");
}
# What the policy does not cover is not taken from the request's own headers either.
is(form(key => 'user/plain', headers => [ [ 'x-amz-acl' => 'public-read' ],
    [ 'x-amz-meta-a' => 'b' ], [ 'x-amz-tagging' => 'a=b' ],
    [ 'x-amz-storage-class' => 'GLACIER_IR' ] ])->{status}, 204, 'headers of the request');
$r = $t->head('/bkt/user/plain');
ok(!grep({ /^x-amz-(meta|tagging|storage)/ } keys %{ $r->{headers} }), 'do not count');
answers($t->get('/bkt/other/in'), '404 NoSuchKey', 'nothing beside user/');

# A policy of the bucket that knows how old a signature may be knows it of forms.
is(policy('bkt', { Effect => 'Deny', Principal => '*', Action => 's3:PutObject',
    Resource => 'arn:aws:s3:::bkt/*', Condition => { NumericGreaterThan =>
        { 's3:signatureAge' => 600_000 } } })->{status}, 204, 'signatures of ten minutes');
is(form()->{status}, 204, 'a fresh form');
$when = Test::S3::amz_date(-700);
$credential = "$t->{access_key}/" . substr($when, 0, 8) . '/us-east-1/s3/aws4_request';
answers(form(), $denied, 'an older one');
for my $date (substr($when, 0, 8) . 'T240000Z', substr($when, 0, 8) . 'T0000:0Z') {
    local $when = $date;
    answers(form(), '400 InvalidArgument', "X-Amz-Date: $date");
}

# Who may only copy cannot send other bytes beside the name of a source.
is(policy('bkt', { Effect => 'Deny', Principal => '*', Action => 's3:PutObject',
    Resource => 'arn:aws:s3:::bkt/user/*', Condition => { StringNotEquals =>
        { 's3:x-amz-copy-source' => 'bkt/k' } } })->{status}, 204, 'copies alone');
my $source = [ 'x-amz-copy-source' => '/bkt/k' ];
answers($t->put('/bkt/user/copy', headers => [$source]), '200 ', 'a copy');
{
    local $when = Test::S3::amz_date();
    local $credential = "$t->{access_key}/" . substr($when, 0, 8) . '/us-east-1/s3/aws4_request';
    answers(form(fields => [$source], conditions => [ { @$source } ]), $denied,
        'a form with the field of a copy');
}
answers($t->put($t->presign('PUT', '/bkt/user/in?X-Amz-Copy-Source=%2Fbkt%2Fk'), sign => 0,
    body => 'x'), $denied, 'a link with the argument of a copy');
$t->delete('/bkt?policy');

# The form of the documentation: its signature is right, and its time is over.
# https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html
my $secret = $t->write_file('secret', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY');
ok($t->ctl('account', 'add', 'example', '--access-key', 'AKIAIOSFODNN7EXAMPLE',
    '--secret-key', $secret), 'the account of the documentation');
my $page = 'http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html';
my $document = <<"EOF_POLICY" =~ s/\n/\r\n/gr =~ s/\r\n$//r;
{ "expiration": "2015-12-30T12:00:00.000Z",
  "conditions": [
    {"bucket": "sigv4examplebucket"},
    ["starts-with", "\$key", "user/user1/"],
    {"acl": "public-read"},
    {"success_action_redirect": "$page"},
    ["starts-with", "\$Content-Type", "image/"],
    {"x-amz-meta-uuid": "14365123651274"},
    {"x-amz-server-side-encryption": "AES256"},
    ["starts-with", "\$x-amz-meta-tag", ""],

    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
    {"x-amz-date": "20151229T000000Z" }
  ]
}
EOF_POLICY
$t->put('/sigv4examplebucket');
my $good = '8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e';
for ([ $good, $denied ], [ $good =~ s/^8/9/r, '403 SignatureDoesNotMatch' ]) {
    my ($signature, $expected) = @$_;
    my $body = join '', map { "--b\r\nContent-Disposition: form-data; name=\"$_->[0]\"\r\n\r\n"
        . "$_->[1]\r\n" } [ key => 'user/user1/${filename}' ], [ acl => 'public-read' ],
        [ success_action_redirect => $page ], [ 'Content-Type' => 'image/jpeg' ],
        [ 'x-amz-meta-uuid' => '14365123651274' ],
        [ 'x-amz-server-side-encryption' => 'AES256' ],
        [ 'X-Amz-Credential' => 'AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request' ],
        [ 'X-Amz-Algorithm' => 'AWS4-HMAC-SHA256' ], [ 'X-Amz-Date' => '20151229T000000Z' ],
        [ 'x-amz-meta-tag' => '' ], [ Policy => encode_base64($document, '') ],
        [ 'X-Amz-Signature' => $signature ], [ file => 'x' ];
    $r = answers($t->post('/sigv4examplebucket', sign => 0, body => "$body--b--\r\n",
        header('Content-Type' => 'multipart/form-data; boundary=b')), $expected,
        "the form of the documentation, signed $signature");
    is($r->{message}, 'Invalid according to Policy: Policy expired.', 'is of 2015')
        if $signature eq $good;
}

# --- what refusals tell ---------------------------------------------------------------------

# To who may read and not list, a key that is there and closed and one that is not
# are one; headers and bodies alike.
policy('bkt', allow($stranger, 's3:GetObject', 'bkt/mine/*'));
sub shape {
    my ($r) = @_;
    my $body = $r->{body} =~ s{<(RequestId|HostId|Resource)>.*?</\1>}{}gr;
    return join '|', $r->{status}, $body, map { "$_->[0]" } grep { $_->[0] !~ /^x-amz-(request-id|id-2)$/i }
        @{ $r->{list} };
}
for (
    [ GET => '' ], [ HEAD => '' ], [ GET => '?acl' ], [ GET => '?tagging' ],
    [ GET => '?attributes', header('x-amz-object-attributes' => 'ETag') ],
    [ GET => '?versionId=null' ], [ HEAD => '?partNumber=1' ], [ GET => '?retention' ],
    [ GET => '', header('If-None-Match' => '"x"') ], [ GET => '', header('If-Match' => '"x"') ],
    [ GET => '', header(Range => 'bytes=100-') ], [ DELETE => '' ], [ PUT => '', body => 'x' ],
    [ PUT => '', body => 'x', header('If-None-Match' => '*') ],
) {
    my ($method, $query, %o) = @$_;
    my $there = $t->request($method, "/bkt/k$query", @as, %o);
    my $absent = $t->request($method, "/bkt/none$query", @as, %o);
    is($there->{status}, 403, "$method $query is refused");
    is(shape($there), shape($absent), "$method $query: of a key that is there and one that is not");
}
for my $source ('/bkt/k', '/bkt/none') {
    $t->put('/theirs', @as);
    answers($t->put('/theirs/c', @as, header('x-amz-copy-source' => $source)), $denied,
        "a copy of $source");
}

is($t->get('/bkt/k')->{body}, 'secret data', 'the server still serves');
$t->done();
