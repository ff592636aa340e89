#!/usr/bin/perl

# Users of the owner's account and of another: identity policies beside the
# bucket's; the audit log; s3ctl policy simulate.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;
use Test::S3;

my $t = Test::S3->new();
$t->{s3d} = "audit_log = \"$t->{dir}/audit.log\";";
$t->run();
my $root = $t->ctl('account', 'show', 'root');
my $root_arn = "arn:aws:iam::$root->{number}:root";

sub answers {
    my ($r, $expected, $what) = @_;
    is("$r->{status} " . ($r->{code} // ''), $expected, $what);
}

sub key_of {
    my ($made) = @_;
    return (access_key => $made->{access_key}, secret_key => $made->{secret_key});
}

sub document {
    return encode_json({ Version => '2012-10-17', Statement => [@_] });
}

sub statement {
    my ($effect, $action, $resource, %more) = @_;
    return { Effect => $effect, Action => $action, Resource => [ map {
        "arn:aws:s3:::$_" } ref $resource ? @$resource : $resource ], %more };
}

sub user_policy {
    my ($user, $name, $policy, @more) = @_;
    my $path = $t->write_file("$name.json", $policy);
    ok($t->ctl('user', 'put-policy', $user, $name, $path, @more), "$user: $name");
}

# A line of a table: method, target, answer, options.
sub table {
    my ($what, $as, @lines) = @_;
    for (@lines) {
        my ($method, $target, $expected, @more) = @$_;
        answers($t->request($method, $target, @$as, @more), $expected,
            "$what: $method $target");
    }
}

$t->put('/bkt');
$t->put("/bkt/$_", body => 'text') for qw(a home/ann/f home/bob/f);

# --- a user of the owner's account -------------------------------------------

my $made = $t->ctl('user', 'add', 'ann');
my @ann = key_of($made);
my $arn = $made->{arn};
table('no rights', \@ann,
    [ GET => '/', '403 AccessDenied' ],
    [ GET => '/bkt', '403 AccessDenied' ],
    [ GET => '/bkt/a', '403 AccessDenied' ],
    [ GET => '/bkt/none', '403 AccessDenied' ],
    [ PUT => '/bkt/a', '403 AccessDenied', body => 'x' ],
    [ DELETE => '/bkt/a', '403 AccessDenied' ],
    [ PUT => '/annsbucket', '403 AccessDenied' ],
    [ GET => '/bkt?policy', '403 AccessDenied' ],
    [ DELETE => '/bkt?policy', '403 AccessDenied' ],
    [ HEAD => '/bkt', '403 ' ]);
user_policy('ann', 'home', document(
    statement('Allow', [ 's3:GetObject', 's3:PutObject' ], 'bkt/home/${aws:username}/*',
        Sid => 'Home'),
    statement('Allow', 's3:ListBucket', 'bkt', Condition => {
        StringLike => { 's3:prefix' => 'home/${aws:username}/*' } }),
    statement('Allow', [ 's3:CreateBucket', 's3:ListAllMyBuckets' ], '*'),
    statement('Deny', 's3:GetObject', 'bkt/home/ann/secret*', Sid => 'NotThese')));
table('a home', \@ann,
    [ GET => '/bkt/home/ann/f', '200 ' ],
    [ PUT => '/bkt/home/ann/g', '200 ', body => 'x' ],
    [ GET => '/bkt/home/bob/f', '403 AccessDenied' ],
    [ PUT => '/bkt/home/ann/secret1', '200 ', body => 'x' ],
    [ GET => '/bkt/home/ann/secret1', '403 AccessDenied' ],
    [ GET => '/bkt?prefix=home/ann/', '200 ' ],
    [ GET => '/bkt?prefix=home/', '403 AccessDenied' ],
    [ GET => '/bkt/home/ann/none', '403 AccessDenied' ],
    [ GET => '/', '200 ' ],
    [ PUT => '/annsbucket', '200 ' ],
    [ PUT => '/annsbucket/k', '403 AccessDenied', body => 'x' ],
    [ DELETE => '/annsbucket', '403 AccessDenied' ]);
answers($t->delete('/annsbucket'), '204 ', 'it is the account\'s');

# Tags of a new bucket are a permission of their own.
my @tagged = (body => '<CreateBucketConfiguration><Tags><Tag><Key>team</Key>'
    . '<Value>a</Value></Tag></Tags></CreateBucketConfiguration>');
table('tags', \@ann, [ PUT => '/annsbucket', '403 AccessDenied', @tagged ]);
for my $team (qw(b a)) {
    user_policy('ann', 'tag', document(statement('Allow', 's3:TagResource', '*',
        Condition => { StringEquals => { 'aws:RequestTag/team' => $team },
            'ForAllValues:StringEquals' => { 'aws:TagKeys' => 'team' } })));
    table("tag $team", \@ann,
        [ PUT => '/annsbucket', $team eq 'a' ? '200 ' : '403 AccessDenied', @tagged ]);
}
like($t->get('/annsbucket?tagging')->{body}, qr{<Key>team</Key><Value>a</Value>}, 'tagged');
answers($t->delete('/annsbucket'), '204 ', 'and deleted');
answers($t->get('/bkt/home/ann/g'), '200 ', 'as are its objects');

# The bucket's policy alone lets a user of the account in, or keeps it out.
my $bucket = sub {
    my $r = $t->put('/bkt?policy', body => document(@_));
    $r->{status} == 204 or die $r->{body};
};
$bucket->(statement('Allow', 's3:GetObject', 'bkt/a', Principal => { AWS => $arn },
    Sid => 'Ann'), statement('Deny', 's3:PutObject', 'bkt/*', Principal => '*', Sid => 'Frozen'));
table('with the bucket\'s', \@ann,
    [ GET => '/bkt/a', '200 ' ],
    [ GET => '/bkt/home/ann/f', '200 ' ],
    [ PUT => '/bkt/home/ann/f', '403 AccessDenied', body => 'x' ]);
answers($t->put('/bkt/a', body => 'x'), '403 AccessDenied', 'a deny is for root, too');

# --- another account ---------------------------------------------------------

my $other = $t->ctl('account', 'add', 'other');
my $other_arn = "arn:aws:iam::$other->{number}:root";
my @other = key_of($other);
my @bob = key_of($t->ctl('user', 'add', 'bob', '--account', 'other'));
$bucket->(statement('Allow', 's3:GetObject', 'bkt/a',
    Principal => { AWS => $other_arn }));
table('another account\'s root', \@other, [ GET => '/bkt/a', '200 ' ],
    [ GET => '/bkt/home/ann/f', '403 AccessDenied' ]);
table('its user without a policy', \@bob, [ GET => '/bkt/a', '403 AccessDenied' ]);
user_policy('bob', 'read', document(statement('Allow', 's3:*', '*')), '--account', 'other');
table('with one', \@bob, [ GET => '/bkt/a', '200 ' ],
    [ GET => '/bkt/home/ann/f', '403 AccessDenied' ],
    [ PUT => '/bobs', '200 ' ], [ PUT => '/bobs/k', '200 ', body => 'x' ]);
table('the account\'s root', \@other, [ GET => '/bobs/k', '200 ' ]);
table('not another\'s user', \@ann, [ GET => '/bobs/k', '403 AccessDenied' ]);

# Lists name accounts: a user of the owner's has nothing from its own's.
$t->delete('/bkt?policy');
$t->delete('/bkt?publicAccessBlock');
$t->put('/bkt?ownershipControls', body => '<OwnershipControls><Rule><ObjectOwnership>'
    . 'ObjectWriter</ObjectOwnership></Rule></OwnershipControls>');
$t->put('/bkt/a?acl', headers => [ [ 'x-amz-grant-read', "id=\"$root->{id}\"" ],
    [ 'x-amz-grant-write-acp', "id=\"$other->{id}\"" ] ]);
table('the owner is granted', \@ann, [ GET => '/bkt/a', '403 AccessDenied' ]);
$t->put('/bkt/a?acl', headers => [ [ 'x-amz-acl', 'authenticated-read' ] ]);
table('all with an account are granted', \@ann, [ GET => '/bkt/a', '200 ' ]);
table('all with an account are granted', \@other, [ GET => '/bkt/a', '200 ' ]);
answers($t->get('/bkt/a', sign => 0), '403 AccessDenied', 'and nobody else');

# --- the audit log -----------------------------------------------------------

sub lines { return map { decode_json($_) } split /\n/, $t->read_file('audit.log') }
sub line_of {
    my ($r) = @_;
    my @of = grep { $_->{requestId} eq $r->{headers}{'x-amz-request-id'} } lines();
    return $of[-1];
}
sub shows {
    my ($r, $what, %expected) = @_;
    my $line = line_of($r);
    like(delete $line->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, "$what: time");
    is(delete $line->{requestId}, $r->{headers}{'x-amz-request-id'}, "$what: request");
    is_deeply($line, { sourceIp => '127.0.0.1', %expected }, "$what: line")
        or diag(encode_json($line));
}

shows($t->get('/bkt/home/ann/f', @ann), 'identity', principal => $arn,
    action => 's3:GetObject', resource => 'arn:aws:s3:::bkt/home/ann/f',
    decision => 'Allow', source => 'identity', policy => 'home', sid => 'Home', statement => 0);
shows($t->get('/bkt/home/ann/secret1', @ann), 'denied', principal => $arn,
    action => 's3:GetObject', resource => 'arn:aws:s3:::bkt/home/ann/secret1',
    decision => 'Deny', source => 'identity', policy => 'home', sid => 'NotThese', statement => 3);
shows($t->get('/bkt/home/bob/f', @ann), 'not allowed', principal => $arn,
    action => 's3:GetObject', resource => 'arn:aws:s3:::bkt/home/bob/f',
    decision => 'Deny', source => 'default');
shows($t->get('/bkt/a', @other), 'list', principal => $other_arn,
    action => 's3:GetObject', resource => 'arn:aws:s3:::bkt/a',
    decision => 'Allow', source => 'acl');
shows($t->get('/bkt'), 'root', principal => $root_arn, action => 's3:ListBucket',
    resource => 'arn:aws:s3:::bkt', decision => 'Allow', source => 'root');
$bucket->(statement('Allow', 's3:GetObject', 'bkt/home/*', Principal => '*', Sid => 'Open'));
shows($t->get('/bkt/home/bob/f', sign => 0), 'anonymous', principal => 'anonymous',
    action => 's3:GetObject', resource => 'arn:aws:s3:::bkt/home/bob/f',
    decision => 'Allow', source => 'bucket-policy', sid => 'Open', statement => 0);
unlike($t->read_file('audit.log'), qr/\Q$t->{secret_key}\E|Signature|authorization/i,
    'no secrets');
rename "$t->{dir}/audit.log", "$t->{dir}/audit.old";
kill 'USR1', $t->{pids}{s3d};
$t->wait_for('a new audit log', sub { -e "$t->{dir}/audit.log" });
$t->wait_for('its first line', sub {
    $t->get('/bkt/a');
    return -s "$t->{dir}/audit.log";
});
is((lines())[0]{resource}, 'arn:aws:s3:::bkt/a', 'goes on in a new file');
my $size = -s "$t->{dir}/audit.log";

# --- s3ctl policy simulate ---------------------------------------------------

sub simulated {
    my ($words, %expected) = @_;
    is_deeply($t->ctl('policy', 'simulate', @$words), \%expected, "simulate @$words");
}
my $object = 'arn:aws:s3:::bkt/home/ann/f';
my %home = (decision => 'Allow', explicit => JSON::PP::false, source => 'identity',
    policy => 'home', sid => 'Home', statement => 0);
my %default = (decision => 'Deny', explicit => JSON::PP::false, source => 'default');
simulated([ $arn, 's3:PutObject', $object ], %home);
simulated([ $ann[1], 's3:putobject', $object ], %home);
simulated([ $arn, 's3:DeleteObject', $object ], %default);
simulated([ $arn, 's3:GetObject', 'arn:aws:s3:::bkt/home/ann/secret' ],
    decision => 'Deny', explicit => JSON::PP::true, source => 'identity',
    policy => 'home', sid => 'NotThese', statement => 3);
simulated([ $arn, 's3:ListBucket', 'arn:aws:s3:::bkt' ], %default);
simulated([ $arn, 's3:ListBucket', 'arn:aws:s3:::bkt', '--context', 's3:prefix=home/ann/x' ],
    %home, sid => '', statement => 1);
simulated([ 'anonymous', 's3:GetObject', 'arn:aws:s3:::bkt/home/x' ],
    %home, source => 'bucket-policy', policy => '', sid => 'Open');
simulated([ 'anonymous', 's3:GetObject', 'arn:aws:s3:::bkt/x' ], %default);
simulated([ $root_arn, 's3:GetObject', 'arn:aws:s3:::bkt/x' ],
    decision => 'Allow', explicit => JSON::PP::false, source => 'root');
simulated([ $other_arn, 's3:GetObject', 'arn:aws:s3:::bkt/a' ],
    decision => 'Allow', explicit => JSON::PP::false, source => 'acl');
simulated([ $other_arn, 's3:GetObject', 'arn:aws:s3:::nowhere/a' ],
    decision => 'Allow', explicit => JSON::PP::false, source => 'root');
for ([ 'nobody', 's3:GetObject', $object ],
    [ "arn:aws:iam::$root->{number}:user/none", 's3:GetObject', $object ],
    [ 'anonymous', 's3:GetObject', '/bkt/a' ],
    [ 'anonymous', 's3:Foo', 'arn:aws:s3:::bkt/a' ],
    [ 'anonymous', 's3:Get*', 'arn:aws:s3:::bkt/a' ])
{
    is($t->ctl('policy', 'simulate', @$_), undef, "refused: @$_");
}
is(-s "$t->{dir}/audit.log", $size, 'nothing of it is in the audit log');

$t->done();
