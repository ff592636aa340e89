#!/usr/bin/perl

# Public access blocks: kept, and what each of them does.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my @names = qw(BlockPublicAcls IgnorePublicAcls BlockPublicPolicy RestrictPublicBuckets);
my $xml = '<?xml version="1.0" encoding="UTF-8"?>' . "\n";
my $ns = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';
my $public = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",'
    . '"Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/*"}]}';
my $private = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",'
    . '"Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/*","Condition":'
    . '{"IpAddress":{"aws:SourceIp":"127.0.0.1"}}}]}';
my $r;

sub answers {
    my ($r, $expected, $what) = @_;
    is("$r->{status} " . ($r->{code} // ''), $expected, $what);
}

sub document {
    my (%on) = @_;
    return "<PublicAccessBlockConfiguration $ns>"
        . join('', map { "<$_>" . ($on{$_} ? 'true' : 'false') . "</$_>" } @names)
        . '</PublicAccessBlockConfiguration>';
}

sub block {
    my %on = map { $_ => 1 } @_;
    my $r = $t->put('/bkt?publicAccessBlock', body => document(%on));
    $r->{status} == 200 or die "$r->{status} $r->{body}";
}

sub anybody { return $t->get($_[0], sign => 0) }

$t->put('/bkt');
$t->put('/bkt/k', body => 'text');

# --- the document ------------------------------------------------------------

$r = $t->get('/bkt?publicAccessBlock');
is($r->{body}, $xml . document(map { $_ => 1 } @names), 'new buckets block all');
is($r->{headers}{'content-type'}, 'application/xml', 'as XML');
answers($t->put('/bkt?policy', body => $public), '403 AccessDenied', 'a public policy is refused');
is($t->get('/bkt?policy')->{code}, 'NoSuchBucketPolicy', 'and not kept');
answers($t->put('/bkt?policy', body => $private), '204 ', 'another is not');
is($t->delete('/bkt?policy')->{status}, 204, 'deleted');

answers($t->delete('/bkt?publicAccessBlock'), '204 ', 'deleted');
answers($t->get('/bkt?publicAccessBlock'), '404 NoSuchPublicAccessBlockConfiguration', 'is gone');
is($t->get('/bkt?publicAccessBlock')->{message},
    'The public access block configuration was not found', 'says so');
answers($t->delete('/bkt?publicAccessBlock'), '204 ', 'and can be deleted again');
for my $name (@names) {
    block($name);
    is($t->get('/bkt?publicAccessBlock')->{body}, $xml . document($name => 1), "$name alone");
}
answers($t->put('/bkt?publicAccessBlock', body =>
    '<PublicAccessBlockConfiguration><IgnorePublicAcls>TRUE</IgnorePublicAcls>'
    . '</PublicAccessBlockConfiguration>'), '200 ', 'what is left out is false');
is($t->get('/bkt?publicAccessBlock')->{body}, $xml . document(IgnorePublicAcls => 1), 'kept so');
answers($t->put('/bkt?publicAccessBlock'), '400 MissingRequestBodyError', 'no body');
for ('<Other/>', '<PublicAccessBlockConfiguration><Other>true</Other></PublicAccessBlockConfiguration>',
    '<PublicAccessBlockConfiguration><BlockPublicAcls>yes</BlockPublicAcls></PublicAccessBlockConfiguration>')
{
    answers($t->put('/bkt?publicAccessBlock', body => $_), '400 MalformedXML', $_);
}
answers($t->get('/none?publicAccessBlock'), '404 NoSuchBucket', 'no bucket');

# --- policies ----------------------------------------------------------------

block();
answers($t->put('/bkt?policy', body => $public), '204 ', 'nothing is blocked');
is($t->get('/bkt?policyStatus')->{body},
    "$xml<PolicyStatus $ns><IsPublic>true</IsPublic></PolicyStatus>", 'is public');
answers(anybody('/bkt/k'), '200 ', 'anybody may read');
block('BlockPublicPolicy');
answers(anybody('/bkt/k'), '200 ', 'what is there stays');
answers($t->put('/bkt?policy', body => $public), '403 AccessDenied', 'but cannot be put again');
block('RestrictPublicBuckets');
answers(anybody('/bkt/k'), '403 AccessDenied', 'restricted to the account');
answers($t->get('/bkt/k'), '200 ', 'which may');
answers($t->put('/bkt?policy', body => $public), '204 ', 'it may be put');
block();
answers($t->put('/bkt?policy', body => $private), '204 ', 'for an address');
is($t->get('/bkt?policyStatus')->{body},
    "$xml<PolicyStatus $ns><IsPublic>false</IsPublic></PolicyStatus>", 'is not public');
block(qw(BlockPublicPolicy RestrictPublicBuckets));
answers(anybody('/bkt/k'), '200 ', 'and not restricted');
$t->delete('/bkt?policy');

# --- lists -------------------------------------------------------------------

sub ownership {
    my $text = "<OwnershipControls><Rule><ObjectOwnership>$_[0]</ObjectOwnership></Rule>"
        . '</OwnershipControls>';
    my $r = $t->put('/bkt?ownershipControls', body => $text);
    $r->{status} == 200 or die "$r->{status} $r->{body}";
}

my @read = (headers => [ [ 'x-amz-acl', 'public-read' ] ]);
block();
ownership('ObjectWriter');
answers($t->put('/bkt/open', body => 'text', @read), '200 ', 'a public list');
answers(anybody('/bkt/open'), '200 ', 'anybody may read');
answers(anybody('/bkt/k'), '403 AccessDenied', 'that one only');
block('BlockPublicAcls');
answers($t->put('/bkt/open2', body => 'text', @read), '403 AccessDenied', 'no more of them');
answers($t->put('/bkt/open?acl', @read), '403 AccessDenied', 'by no way');
answers(anybody('/bkt/open'), '200 ', 'what is there stays');
block('IgnorePublicAcls');
answers(anybody('/bkt/open'), '403 AccessDenied', 'ignored');
answers($t->put('/bkt/open3', body => 'text', @read), '200 ', 'and still accepted');
block();
answers(anybody('/bkt/open3'), '200 ', 'until it counts again');
ownership('BucketOwnerEnforced');
answers(anybody('/bkt/open'), '403 AccessDenied', 'lists are off');
answers($t->get('/bkt/open'), '200 ', 'the owner may');

# The account's block holds for all its buckets.
block();
$t->put('/bkt?policy', body => $public);
answers(anybody('/bkt/k'), '200 ', 'open');
ok($t->ctl('account', 'block', 'root', 'RestrictPublicBuckets,BlockPublicAcls'), 'some for the account');
is_deeply($t->ctl('account', 'show', 'root')->{public_access_block},
    [qw(BlockPublicAcls RestrictPublicBuckets)], 'are shown');
answers(anybody('/bkt/k'), '403 AccessDenied', 'restricted');
answers($t->put('/bkt?policy', body => $public), '204 ', 'that one is not blocked');
is($t->get('/bkt?publicAccessBlock')->{body}, $xml . document(), 'the bucket has its own');
is($t->stop('s3d'), 0, 's3d stops');
$t->start_s3d();
answers(anybody('/bkt/k'), '403 AccessDenied', 'after a start as well');
ok($t->ctl('account', 'block', 'root', 'all'), 'all for the account');
answers($t->put('/bkt?policy', body => $public), '403 AccessDenied', 'now it is');
is($t->ctl('account', 'block', 'root', 'BlockPublic'), undef, 'no such setting');
ok($t->ctl('account', 'block', 'root', 'none'), 'none for the account');
answers(anybody('/bkt/k'), '200 ', 'open again');

# S3 has an API for it, which is not here; a bucket may have its name.
my $control = '/v20180820/configuration/publicAccessBlock';
my @account = (headers => [ [ 'x-amz-account-id', '123456789012' ] ]);
answers($t->get($control, @account), '501 NotImplemented', 'no GetPublicAccessBlock of accounts');
answers($t->put($control, body => document(), @account), '501 NotImplemented', 'nor Put');
answers($t->delete($control, @account), '501 NotImplemented', 'nor Delete');
answers($t->get($control, @account, secret_key => 'wrong'), '403 SignatureDoesNotMatch',
    'for who is known');
$t->put('/v20180820');
answers($t->put($control, body => 'x'), '200 ', 'an object of that name');
answers($t->get($control), '200 ', 'is read');
answers($t->get('/bkt/k', @account), '200 ', 'the header is nothing elsewhere');

# Buckets block from the start: none of this needs an opinion of the creator.
is($t->put('/new', headers => [ [ 'x-amz-object-ownership', 'ObjectWriter' ] ])->{status}, 200,
    'a bucket with lists');
answers($t->put('/new/k', body => 'x', @read), '403 AccessDenied', 'but without public ones');

$t->done();
