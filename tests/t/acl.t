#!/usr/bin/perl

# Access control lists: what is put, what is told, and whom it lets do what.

use strict;
use warnings;

use Digest::MD5 qw(md5_base64);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $groups = 'http://acs.amazonaws.com/groups';
my $everybody = "$groups/global/AllUsers";
my $accounts = "$groups/global/AuthenticatedUsers";
my $r;

sub answer { return "$r->{status} " . ($r->{code} // '') }

sub account {
    my ($name) = @_;
    my $made = $t->ctl('account', 'add', $name) or die "account add $name";
    return (access_key => $made->{access_key},
        secret_key => $made->{secret_key});
}

# The canonical id, as ListBuckets tells it.
sub id_of { return $t->get('/', @_)->{body} =~ m{<ID>([0-9a-f]{64})</ID>} ? $1 : die }

# A bucket in which lists count, public ones too.
sub bucket {
    my ($name, $ownership, @as) = @_;
    is($t->put("/$name", @as, headers =>
        [ [ 'x-amz-object-ownership' => $ownership ] ])->{status}, 200,
        "bucket $name, $ownership");
    is($t->delete("/$name?publicAccessBlock", @as)->{status}, 204,
        'public lists are not blocked');
}

sub canned { return (headers => [ [ 'x-amz-acl' => $_[0] ] ]) }

sub grantee {
    my ($id, $name) = @_;
    my $xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';
    return $id =~ /^http/
        ? "<Grantee $xsi xsi:type=\"Group\"><URI>$id</URI></Grantee>"
        : "<Grantee $xsi xsi:type=\"CanonicalUser\"><ID>$id</ID>"
            . "<DisplayName>$name</DisplayName></Grantee>";
}

sub grants {
    my (@grants) = @_;
    return join('', map { '<Grant>' . grantee(@$_[0, 1])
        . "<Permission>$_->[2]</Permission></Grant>" } @grants);
}

sub policy {
    my ($owner, $name, @grants) = @_;
    return '<AccessControlPolicy xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        . "<Owner><ID>$owner</ID><DisplayName>$name</DisplayName></Owner>"
        . '<AccessControlList>' . grants(@grants)
        . '</AccessControlList></AccessControlPolicy>';
}

my @anonymous = (sign => 0);
my @friend = account('friend');
my @stranger = account('stranger');
my $me = id_of();
my $friend = id_of(@friend);
my $mine = [ $me, 'root', 'FULL_CONTROL' ];

sub list_is {
    my ($target, $wanted, $name, @as) = @_;
    $r = $t->get($target, @as);
    is($r->{status}, 200, "$name: status");
    is($r->{headers}{'content-type'}, 'application/xml', "$name: type");
    is($r->{body}, qq{<?xml version="1.0" encoding="UTF-8"?>\n$wanted}, $name);
}

# --- lists as they are told -----------------------------------------------------
bucket('bkt', 'ObjectWriter');
list_is('/bkt?acl', policy($me, 'root', $mine), 'a new bucket is private');
is($t->put('/bkt/k', body => 'x')->{status}, 200, 'an object');
list_is('/bkt/k?acl', policy($me, 'root', $mine), 'so is a new object');
is($t->put('/bkt/k?acl', canned('public-read-write'))->{status}, 200, 'canned');
list_is('/bkt/k?acl', policy($me, 'root', $mine,
    [ $everybody, '', 'READ' ], [ $everybody, '', 'WRITE' ]), 'public-read-write');
is($t->put('/bkt/k?acl', headers => [
    [ 'x-amz-grant-read' => "id=\"$friend\", uri=\"$accounts\"" ],
    [ 'x-amz-grant-write-acp' => "id=$me" ] ])->{status}, 200, 'grants');
list_is('/bkt/k?acl', policy($me, 'root', [ $friend, 'friend', 'READ' ],
    [ $accounts, '', 'READ' ], [ $me, 'root', 'WRITE_ACP' ]), 'in headers');
my $document = policy($me, 'root', $mine, [ $friend, 'friend', 'READ_ACP' ],
    [ "$groups/s3/LogDelivery", '', 'WRITE' ]);
is($t->put('/bkt?acl', body => $document)->{status}, 200, 'a document');
list_is('/bkt?acl', $document, 'comes back as it was put');
is($t->put('/bkt?acl', canned('private'))->{status}, 200, 'private again');

# In the query of a presigned request, in a form.
my $link = $t->presign('PUT', '/bkt/link?x-amz-acl=public-read');
is($t->put($link, @anonymous, body => 'x')->{status}, 200, 'a link with a list');
list_is('/bkt/link?acl', policy($me, 'root', $mine, [ $everybody, '', 'READ' ]),
    'is as the link says');
$r = $t->put($link =~ s/public-read/private/r, @anonymous, body => 'x');
is(answer(), '403 SignatureDoesNotMatch', 'and not as its bearer does');

# --- refusals -------------------------------------------------------------------
for my $case (
    [ [ canned('nobody') ], '400 InvalidArgument', 'no canned list' ],
    [ [ headers => [ [ 'x-amz-acl' => 'private' ],
        [ 'x-amz-grant-read' => "id=$me" ] ] ], '400 InvalidRequest', 'both ways' ],
    [ [ headers => [ [ 'x-amz-grant-read' => 'id=1' ] ] ],
        '400 InvalidArgument', 'nobody\'s id' ],
    [ [ headers => [ [ 'x-amz-grant-read' => 'emailAddress=a@example.com' ] ] ],
        '400 UnresolvableGrantByEmailAddress', 'nobody\'s address' ],
    [ [ headers => [ [ 'x-amz-grant-read' => 'uri=http://example.com/' ] ] ],
        '400 InvalidArgument', 'no group' ],
) {
    my ($options, $wanted, $name) = @$case;
    for my $target ('/bkt?acl', '/bkt/k?acl', '/bkt/other') {
        $r = $t->put($target, @$options);
        is(answer(), $wanted, "$target: $name");
    }
}
for my $target ('/bkt?acl', '/bkt/k?acl') {
    $r = $t->put($target);
    is(answer(), '400 MissingSecurityHeader', "$target: nothing");
    $r = $t->put($target, body => $document, canned('private'));
    is(answer(), '400 UnexpectedContent', "$target: a document and a header");
    $r = $t->put($target, body => '<AccessControlPolicy/>');
    is(answer(), '400 MalformedACLError', "$target: a bad document");
    $r = $t->put($target, body => policy($friend, 'friend', $mine));
    is(answer(), '403 AccessDenied', "$target: another owner");
    $r = $t->delete($target);
    is(answer(), '405 MethodNotAllowed', "$target: not deleted");
}
is($t->head('/bkt/other')->{status}, 404, 'nothing was written');

# --- whom a list lets do what ---------------------------------------------------
bucket('mat', 'ObjectWriter');
is($t->put("/mat/k$_", body => 'x')->{status}, 200, "k$_") for 1 .. 3;
$r = $t->post('/mat/upload?uploads');
my ($upload) = $r->{body} =~ m{<UploadId>(.*?)</};
my $again; # the headers that keep the list as it is
my $delete_body = '<Delete><Object><Key>gone</Key></Object></Delete>';
my $tagging = '<Tagging><TagSet/></Tagging>';

# Name, permission on the bucket and on the object, request.
my @operations = (
    [ 'ListObjects', 'READ', '', 'GET', '/mat' ],
    [ 'ListObjectsV2', 'READ', '', 'GET', '/mat?list-type=2' ],
    [ 'ListObjectVersions', 'READ', '', 'GET', '/mat?versions' ],
    [ 'ListMultipartUploads', 'READ', '', 'GET', '/mat?uploads' ],
    [ 'HeadBucket', 'READ', '', 'HEAD', '/mat' ],
    [ 'PutObject', 'WRITE', '', 'PUT', '/mat/new', body => 'y' ],
    [ 'CreateMultipartUpload', 'WRITE', '', 'POST', '/mat/new?uploads' ],
    [ 'UploadPart', '', '', 'PUT',
        "/mat/upload?partNumber=1&uploadId=$upload", body => 'y' ],
    [ 'DeleteObject', 'WRITE', '', 'DELETE', '/mat/k2' ],
    [ 'GetBucketAcl', 'READ_ACP', '', 'GET', '/mat?acl' ],
    [ 'PutBucketAcl', 'WRITE_ACP', '', 'PUT', '/mat?acl', again => 1 ],
    [ 'GetObject', '', 'READ', 'GET', '/mat/k1' ],
    [ 'HeadObject', '', 'READ', 'HEAD', '/mat/k1' ],
    [ 'GetObjectAcl', '', 'READ_ACP', 'GET', '/mat/k1?acl' ],
    [ 'PutObjectAcl', '', 'WRITE_ACP', 'PUT', '/mat/k1?acl', again => 1 ],
    [ 'GetObjectTagging', '', '', 'GET', '/mat/k1?tagging' ],
    [ 'PutObjectTagging', '', '', 'PUT', '/mat/k1?tagging', body => $tagging,
        headers => [ [ 'Content-MD5' => md5_base64($tagging) . '==' ] ] ],
    [ 'GetObjectAttributes', '', '', 'GET', '/mat/k1?attributes', headers =>
        [ [ 'x-amz-object-attributes' => 'ETag' ] ] ],
    [ 'GetObjectRetention', '', '', 'GET', '/mat/k1?retention' ],
    [ 'ListParts', '', '', 'GET', "/mat/upload?uploadId=$upload" ],
    [ 'AbortMultipartUpload', '', '', 'DELETE', "/mat/upload?uploadId=$upload" ],
    [ 'CompleteMultipartUpload', '', '', 'POST', "/mat/upload?uploadId=$upload",
        body => '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>'
            . '<ETag>0</ETag></Part></CompleteMultipartUpload>' ],
    [ 'DeleteBucket', '', '', 'DELETE', '/mat' ],
    (map { [ "get $_", '', '', 'GET', "/mat?$_" ] } qw(accelerate cors encryption
        lifecycle location logging notification object-lock ownershipControls
        policy policyStatus publicAccessBlock replication requestPayment tagging
        versioning website)),
    (map { [ "delete $_", '', '', 'DELETE', "/mat?$_" ] } qw(cors encryption
        lifecycle ownershipControls policy publicAccessBlock replication tagging
        website)),
    (map { [ "put $_", '', '', 'PUT', "/mat?$_", body => '<x/>' ] } qw(cors logging
        notification object-lock ownershipControls policy requestPayment tagging
        versioning)),
);

# Those of @operations that are let.
sub allowed {
    my (@as) = @_;
    my @names;
    for my $operation (@operations) {
        my ($name, undef, undef, $method, $target, %o) = @$operation;
        $o{headers} = $again if delete $o{again};
        $r = $t->request($method, $target, %o, @as);
        push @names, $name if $r->{status} != 403;
        $t->put('/mat/k2', body => 'x') if $name eq 'DeleteObject';
    }
    return join ' ', @names;
}

sub wanted {
    my ($column, @permissions) = @_;
    return join ' ', map { $_->[0] } grep { my $needs = $_->[$column];
        grep { $_ eq $needs || $needs && $_ eq 'FULL_CONTROL' } @permissions }
        @operations;
}

my @permissions = qw(READ WRITE READ_ACP WRITE_ACP FULL_CONTROL);
my %whom = (
    account => [ "id=$friend", [ \@friend ], [ \@stranger, \@anonymous ] ],
    accounts => [ "uri=$accounts", [ \@friend, \@stranger ], [ \@anonymous ] ],
    everybody => [ "uri=$everybody", [ \@friend, \@anonymous ], [] ],
    logging => [ "uri=$groups/s3/LogDelivery", [], [ \@friend, \@anonymous ] ],
);
is(allowed(@$_), '', 'without a grant, nothing') for \@friend, \@anonymous;
for my $whom (sort keys %whom) {
    my ($value, $let, $others) = @{ $whom{$whom} };
    for my $permission (@permissions) {
        my $header = lc "x-amz-grant-$permission" =~ tr/_/-/r;
        for my $case ([ 1, '/mat?acl' ], [ 2, '/mat/k1?acl' ]) {
            my ($column, $target) = @$case;
            $again = [ [ $header => $value ] ];
            is($t->put($target, headers => $again)->{status}, 200,
                "$permission for $whom on $target");
            for my $who (@$let) {
                my $wanted = wanted($column, $permission);
                # Nobody makes no uploads.
                $wanted =~ s/CreateMultipartUpload //
                    if $who == \@anonymous && $wanted =~ /Create/;
                is(allowed(@$who), $wanted, 'lets do what it says');
            }
            is(allowed(@$_), '', 'and nobody else anything') for @$others;
            is($t->put($target, canned('private'))->{status}, 200, 'taken back');
        }
    }
}

# --- whose uploads are whose ----------------------------------------------------
is($t->put('/mat?acl', canned('public-read-write'))->{status}, 200, 'open to all');
$r = $t->post('/mat/theirs?uploads', @friend);
my ($id) = $r->{body} =~ m{<UploadId>(.*?)</};
is($t->put("/mat/theirs?partNumber=1&uploadId=$id", @friend, body => 'x')->{status},
    200, 'a part of one\'s own');
for my $who (\@stranger, \@anonymous) {
    for my $case ([ 'PUT', 'partNumber=1&', body => 'evil' ], [ 'GET', '' ],
        [ 'DELETE', '' ], [ 'POST', '', body => '<CompleteMultipartUpload><Part>'
            . '<PartNumber>1</PartNumber><ETag>9dd4e461268c8034f5c8564e155c67a6'
            . '</ETag></Part></CompleteMultipartUpload>' ]) {
        my ($method, $query, @options) = @$case;
        for my $named ($id, $id =~ tr/0-9a-f/1-9a-f0/r) {
            next if $named ne $id && $method =~ /^P/; # who may write, may know
            $r = $t->request($method, "/mat/theirs?${query}uploadId=$named",
                @$who, @options);
            is(answer(), '403 AccessDenied', "$method by another");
        }
    }
}
like($t->get("/mat/theirs?uploadId=$id", @$_)->{body},
    qr{<ETag>&quot;9dd4e461268c8034f5c8564e155c67a6&quot;</ETag>|<ETag>"9dd4}, 'its parts')
    for \@friend, [];
is($t->delete("/mat/theirs?uploadId=$id", @friend)->{status}, 204, 'aborted');

# --- ways around -----------------------------------------------------------------
# The bucket is open to all, its objects are not.
is($t->put('/mat/secret', body => 'secret')->{status}, 200, 'a secret');
is($t->put('/own', @friend)->{status}, 200, 'a bucket of the friend\'s');
sub source { return (headers => [ [ 'x-amz-copy-source' => $_[0] ], @_[1 .. $#_] ]) }
$r = $t->put('/own/copy', @friend, source('/mat/secret'));
is(answer(), '403 AccessDenied', 'not copied elsewhere');
$r = $t->put('/mat/copy', @friend, source('/mat/secret', [ 'x-amz-acl' => 'public-read' ]));
is(answer(), '403 AccessDenied', 'nor in place');
$r = $t->put('/mat/secret', @friend, source('/mat/secret',
    [ 'x-amz-metadata-directive' => 'REPLACE' ]));
is(answer(), '403 AccessDenied', 'nor onto itself');
$r = $t->post('/own/parts?uploads', @friend);
($id) = $r->{body} =~ m{<UploadId>(.*?)</};
$r = $t->put("/own/parts?partNumber=1&uploadId=$id", @friend, source('/mat/secret'));
is(answer(), '403 AccessDenied', 'nor in parts');
for my $options ([ 'x-amz-copy-source-if-match' => 'x' ], [ 'x-amz-copy-source-if-match' =>
        '"5ebe2294ecd0e0f08eab7690d2a6ee69"' ]) {
    $r = $t->put('/own/copy', @friend, source('/mat/secret', $options));
    is(answer(), '403 AccessDenied', 'nor is its ETag guessed');
    my ($name, $value) = ($options->[0] =~ s/x-amz-copy-source-//r, $options->[1]);
    $r = $t->put('/mat/secret', @friend, body => 'x', headers => [ [ $name => $value ] ]);
    is(answer(), '403 AccessDenied', 'nor by a conditional write');
}
$r = $t->get('/mat/secret?versionId=null', @friend);
is(answer(), '403 AccessDenied', 'nor read as a version');
$r = $t->delete('/mat/secret?versionId=null', @friend);
is(answer(), '403 AccessDenied', 'nor deleted as one');
my $deletes = '<Delete><Object><Key>secret</Key><VersionId>null</VersionId></Object>'
    . '<Object><Key>none</Key></Object></Delete>';
my @md5 = (headers => [ [ 'Content-MD5' => md5_base64($deletes) . '==' ] ]);
like($t->post('/mat?delete', @friend, body => $deletes, @md5)->{body},
    qr{<Deleted><Key>none</Key></Deleted>.*<Error><Key>secret</Key>.*<Code>AccessDenied</Code>|<Error><Key>secret</Key>.*<Code>AccessDenied</Code>.*<Deleted><Key>none</Key></Deleted>}s,
    'each key for itself');
is($t->put('/mat?acl', canned('private'))->{status}, 200, 'closed again');
unlike($t->post('/mat?delete', @friend, body => $deletes, @md5)->{body}, qr{<Deleted>},
    'then none');
# There or not there: the same to who may not list.
for my $target ('/mat/secret', '/mat/none', '/mat/secret?acl', '/mat/none?acl',
    '/mat/secret?tagging', '/mat/none?tagging', '/mat/secret?versionId=null',
    '/mat/none?versionId=null', '/mat/none?attributes', '/mat/secret?retention',
    '/mat/none?retention', '/mat/none?legal-hold', '/mat?acl', '/mat?policyStatus') {
    for my $who (\@friend, \@anonymous) {
        $r = $t->get($target, @$who, headers =>
            [ [ 'x-amz-object-attributes' => 'ETag' ] ]);
        is(answer(), '403 AccessDenied', "GET $target");
        unlike($r->{body}, qr/$me|>secret<|root/, 'says nothing');
        is($t->head($target, @$who)->{status}, 403, "HEAD $target") if $target !~ /\?[a-u]/;
    }
}
is($t->get('/mat/secret')->{body}, 'secret', 'is as it was');
# A user of the owner's account has what everybody has, and no more.
my $user = $t->ctl('user', 'add', 'plain') or die 'user add';
my @plain = (access_key => $user->{access_key}, secret_key => $user->{secret_key});
is($t->get('/mat/secret', @plain)->{status}, 403, 'a user without a policy');
is($t->put('/mat/secret?acl', canned('private'))->{status}, 200, 'a list for the account');
is($t->get('/mat/secret', @plain)->{status}, 403, 'is not for its users');
is($t->put('/mat/secret?acl', @plain, canned('public-read'))->{status}, 403,
    'who cannot change it');
is($t->put('/mat/secret?acl', canned('public-read'))->{status}, 200, 'public');
is($t->get('/mat/secret', @plain)->{body}, 'secret', 'is for everybody');
is($t->put('/mat?publicAccessBlock', body => '<PublicAccessBlockConfiguration>'
    . '<IgnorePublicAcls>true</IgnorePublicAcls></PublicAccessBlockConfiguration>')
    ->{status}, 200, 'public lists are ignored');
is($t->get('/mat/secret', @$_)->{status}, 403, 'public no more')
    for \@plain, \@friend, \@anonymous;

# --- whose objects are whose ----------------------------------------------------
bucket('open', 'ObjectWriter');
is($t->put('/open?acl', canned('public-read-write'))->{status}, 200, 'open to all');
is($t->put('/open/theirs', @friend, body => 'x')->{status}, 200, 'a friend writes');
list_is('/open/theirs?acl', policy($friend, 'friend',
    [ $friend, 'friend', 'FULL_CONTROL' ]), 'an object of the writer', @friend);
is($t->get('/open/theirs', @friend)->{body}, 'x', 'who can read it');
is($t->get('/open/theirs', @stranger)->{status}, 403, 'others cannot');
is($t->get('/open/theirs', @anonymous)->{status}, 403, 'nor can nobody');
is($t->put('/open/theirs?acl', @friend, canned('bucket-owner-read'))->{status},
    200, 'who can share it');
list_is('/open/theirs?acl', policy($friend, 'friend',
    [ $friend, 'friend', 'FULL_CONTROL' ], [ $me, 'root', 'READ' ]),
    'with the owner of the bucket', @friend);
is($t->put('/open/shared', @friend, body => 'x', canned('public-read'))->{status},
    200, 'or at once');
is($t->get('/open/shared', @anonymous)->{body}, 'x', 'with everybody');
is($t->put('/open/nobodys', @anonymous, body => 'x')->{status}, 200, 'nobody writes');
list_is('/open/nobodys?acl', policy($me, 'root', $mine),
    'an object of the bucket\'s owner');
is($t->get('/open/nobodys', @anonymous)->{status}, 403, 'not even nobody reads it');
$r = $t->put('/open/nobodys?acl', @anonymous, canned('public-read'));
is(answer(), '403 AccessDenied', 'or opens it');

# The owner of the bucket prefers to own what it is given.
my $preferred = '<OwnershipControls><Rule><ObjectOwnership>%s</ObjectOwnership>'
    . '</Rule></OwnershipControls>';
is($t->put('/open?ownershipControls', body =>
    sprintf($preferred, 'BucketOwnerPreferred'))->{status}, 200, 'preferred');
is($t->put('/open/given', @friend, body => 'x',
    canned('bucket-owner-full-control'))->{status}, 200, 'a gift');
list_is('/open/given?acl', policy($me, 'root', $mine), 'is the bucket owner\'s');
is($t->get('/open/given', @friend)->{status}, 403, 'and not the giver\'s');

# No lists.
$r = $t->put('/open?ownershipControls', body =>
    sprintf($preferred, 'BucketOwnerEnforced'));
is(answer(), '400 InvalidBucketAclWithObjectOwnership', 'not while it is open');
is($t->put('/open?acl', canned('private'))->{status}, 200, 'closed');
is($t->put('/open?ownershipControls', body =>
    sprintf($preferred, 'BucketOwnerEnforced'))->{status}, 200, 'no more lists');
is($t->get('/open/shared', @anonymous)->{status}, 403, 'public no more');
is($t->get('/open/theirs', @friend)->{status}, 403, 'nor the writer\'s');
list_is('/open/theirs?acl', policy($me, 'root', $mine), 'all is the owner\'s');
for my $name (qw(public-read authenticated-read aws-exec-read)) {
    for my $target ('/open?acl', '/open/theirs?acl', '/open/new') {
        $r = $t->put($target, canned($name));
        is(answer(), '400 AccessControlListNotSupported', "$name for $target");
    }
}
is($t->put('/open/new', body => 'x', canned($_))->{status}, 200, "but $_")
    for qw(private bucket-owner-full-control);
$r = $t->put('/fresh', canned('public-read'));
is(answer(), '400 InvalidBucketAclWithObjectOwnership', 'nor has a new bucket any');
is($t->put('/fresh', canned('private'))->{status}, 200, 'but private ones');

$t->done();
