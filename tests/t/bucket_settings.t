#!/usr/bin/perl

# Settings of buckets: those that are kept, and those that nobody can make.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $r;

is($t->put('/bucket')->{status}, 200, 'a bucket');

sub ownership {
    return "<OwnershipControls><Rule><ObjectOwnership>$_[0]</ObjectOwnership>"
        . '</Rule></OwnershipControls>';
}

$r = $t->get('/bucket?ownershipControls');
like($r->{body}, qr{<ObjectOwnership>BucketOwnerEnforced<}, 'of a new bucket');
is($t->put('/bucket?ownershipControls', body => ownership('ObjectWriter'))->{status},
    200, 'put');
$r = $t->get('/bucket?ownershipControls');
like($r->{body}, qr{<ObjectOwnership>ObjectWriter<}, 'read back');
$r = $t->put('/bucket?ownershipControls', body => ownership('Nobody'));
is("$r->{status} $r->{code}", '400 MalformedXML', 'no such ownership');
is($t->delete('/bucket?ownershipControls')->{status}, 204, 'removed');
is($t->delete('/bucket?ownershipControls')->{status}, 204, 'again');
$r = $t->get('/bucket?ownershipControls');
is("$r->{status} $r->{code}", '404 OwnershipControlsNotFoundError', 'is gone');
is($t->put('/second', headers => [ [ 'x-amz-object-ownership' => 'ObjectWriter' ] ])
    ->{status}, 200, 'a bucket with an ownership');
like($t->get('/second?ownershipControls')->{body}, qr{>ObjectWriter<}, 'has it');

my $payer = '<RequestPaymentConfiguration><Payer>Requester</Payer>'
    . '</RequestPaymentConfiguration>';
like($t->get('/bucket?requestPayment')->{body}, qr{<Payer>BucketOwner</Payer>},
    'its owner pays');
is($t->put('/bucket?requestPayment', body => $payer)->{status}, 200, 'requesters pay');
like($t->get('/bucket?requestPayment')->{body}, qr{<Payer>Requester</Payer>}, 'kept');

my %errors = (
    lifecycle => 'NoSuchLifecycleConfiguration',
    replication => 'ReplicationConfigurationNotFoundError',
);
for (sort keys %errors) {
    $r = $t->get("/bucket?$_");
    is("$r->{status} $r->{code}", "404 $errors{$_}", "GET ?$_");
    is($t->delete("/bucket?$_")->{status}, 204, "DELETE ?$_");
    $r = $t->put("/bucket?$_", body => '<Whatever/>');
    is("$r->{status} $r->{code} $r->{message}",
        '501 NotImplemented This operation is not implemented.', "PUT ?$_");
}

my %roots = (
    accelerate => 'AccelerateConfiguration',
    logging => 'BucketLoggingStatus',
    notification => 'NotificationConfiguration',
);
for (sort keys %roots) {
    $r = $t->get("/bucket?$_");
    is($r->{status}, 200, "GET ?$_");
    like($r->{body}, qr{<$roots{$_} xmlns="[^"]*"></$roots{$_}>$}, 'is empty');
    $r = $t->delete("/bucket?$_");
    is("$r->{status} $r->{headers}{allow}", $_ eq 'accelerate' ? '405 GET' : '405 GET, PUT',
        "DELETE ?$_");
}
is($t->put('/bucket?logging', body => '<BucketLoggingStatus/>')->{status}, 200,
    'no logging');
$r = $t->put('/bucket?logging', body =>
    '<BucketLoggingStatus><LoggingEnabled/></BucketLoggingStatus>');
is("$r->{status} $r->{code}", '400 MalformedXML', 'logging to nowhere');
is($t->put('/bucket?notification', body => '<NotificationConfiguration/>')->{status},
    200, 'no notification');
$r = $t->put('/bucket?notification', body =>
    '<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>');
is("$r->{status} $r->{code}", '400 InvalidArgument', 'no EventBridge is configured');
$r = $t->put('/bucket?logging');
is("$r->{status} $r->{code}", '400 MissingRequestBodyError', 'no document');

is($t->get('/bucket/k?cors')->{status}, 400, 'a setting of buckets on a key');
is($t->get('/bucket')->{status}, 200, 'the bucket is as it was');
like($t->get('/')->{body}, qr{<Name>bucket</Name>}, 'listed');
is($t->get('/nosuch?logging')->{code}, 'NoSuchBucket', 'no such bucket');

$t->done();
