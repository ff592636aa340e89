#!/usr/bin/perl

# IAM on the wire: what is a form of IAM, what is S3's own, how it must be
# signed, and each answer byte by byte. What actions do is in
# tests/clients/test_iam.py.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my @form = (headers => [ [ 'Content-Type' => 'application/x-www-form-urlencoded' ] ]);
my $iam = 'https://iam.amazonaws.com/doc/2010-05-08/';
my $sts = 'https://sts.amazonaws.com/doc/2011-06-15/';
my $r;

sub iam {
    my ($action, $fields, %o) = @_;
    return $t->query('iam', [ Action => $action, Version => '2010-05-08',
        @{ $fields || [] } ], %o);
}

sub answers {
    my ($r, $expected, $what) = @_;
    is("$r->{status} " . ($r->{code} // ''), $expected, $what);
    return $r;
}

sub body_is {
    my ($r, $xml, $what) = @_;
    my $id = $r->{headers}{'x-amz-request-id'};
    $xml =~ s/\$id/$id/;
    is($r->{body}, $xml, $what);
}

# --- answers -------------------------------------------------------------------

$t->put('/bkt');
my $number = $t->ctl('account', 'show', 'root')->{number};

$r = answers(iam('CreateUser', [ UserName => 'bob' ]), '200 ', 'created');
is($r->{headers}{'content-type'}, 'application/xml', 'XML');
is($r->{headers}{'x-amzn-requestid'}, $r->{headers}{'x-amz-request-id'},
    'the request id where clients of IAM look for it');
like($r->{body}, qr{^<CreateUserResponse\ xmlns="\Q$iam\E"><CreateUserResult><User>
    <Path>/</Path><UserName>bob</UserName><UserId>AIDA[A-Z2-7]{17}</UserId>
    <Arn>arn:aws:iam::$number:user/bob</Arn>
    <CreateDate>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z</CreateDate></User>
    </CreateUserResult><ResponseMetadata><RequestId>[0-9A-F]{16}</RequestId>
    </ResponseMetadata></CreateUserResponse>$}x, 'what was made');
body_is(iam('CreateUser', [ UserName => 'bob' ]),
    qq{<ErrorResponse xmlns="$iam"><Error><Type>Sender</Type>}
    . '<Code>EntityAlreadyExists</Code><Message>User with name bob already '
    . 'exists.</Message></Error><RequestId>$id</RequestId></ErrorResponse>',
    'an error');
body_is(iam('DeleteUser', [ UserName => 'bob' ]),
    qq{<DeleteUserResponse xmlns="$iam"><DeleteUserResult></DeleteUserResult>}
    . '<ResponseMetadata><RequestId>$id</RequestId></ResponseMetadata>'
    . '</DeleteUserResponse>', 'nothing to tell');
like($t->query('sts', [ Action => 'GetCallerIdentity', Version => '2011-06-15' ])
    ->{body}, qr{^<GetCallerIdentityResponse\ xmlns="\Q$sts\E">
    <GetCallerIdentityResult><Arn>arn:aws:iam::$number:root</Arn>
    <UserId>$number</UserId><Account>$number</Account>}x, 'of STS');

# --- what is not IAM's -----------------------------------------------------------

$r = answers($t->post('/', body => 'Action=ListUsers', @form),
    '405 MethodNotAllowed', 'a form signed for S3 is S3\'s');
like($r->{body}, qr{^<\?xml [^>]*>\n<Error><Code>}, 'and refused by S3');
like($r->{body}, qr{<Method>POST</Method><ResourceType>SERVICE</}, 'which says of what');
is($r->{headers}{allow}, 'GET', 'and what is allowed');
answers($t->post('/', body => 'Action=ListUsers'), '405 MethodNotAllowed',
    'no form');
answers($t->post('/', body => 'Action=ListUsers', service => 'iam'),
    '405 MethodNotAllowed', 'no form, for IAM');
answers($t->post('/', body => 'x', headers => [ [ 'Content-Type' =>
    'application/x-www-form-urlencodedx' ] ]), '405 MethodNotAllowed',
    'nearly a form');
answers($t->post('/?Action=ListUsers', body => '', service => 'iam', @form),
    '405 MethodNotAllowed', 'nothing of IAM in the query');
answers($t->get('/?Action=ListUsers', service => 'iam'),
    '400 AuthorizationHeaderMalformed', 'only by POST');
is($t->get('/?Action=ListUsers')->{status}, 200, 'S3 lists its buckets');
answers($t->post('/bkt', body => 'Action=ListUsers', service => 'iam', @form),
    '412 PreconditionFailed', 'of a bucket it is a browser\'s upload');
answers($t->put('/bkt/k', service => 'iam', body => 'x'),
    '400 AuthorizationHeaderMalformed', 'no other operation');

# --- STS in the query --------------------------------------------------------------

my $who = '/?Action=GetCallerIdentity&Version=2011-06-15';
my @sts = (service => 'sts');
for my $method (qw(GET POST)) {
    for ([ $t->presign($method, $who, @sts), 'pre-signed', sign => 0 ],
        [ $who, 'signed', @sts ], [ $who, 'signed, without a length', @sts, no_length => 1 ],
        [ $who, 'signed, for another region', @sts, region => 'eu-west-1' ],
        [ '/?Pad=%20%2B&Action=GetCallerIdentity', 'signed, without a version', @sts ])
    {
        my ($target, $what, @how) = @$_;
        like(answers($t->request($method, $target, @how), '200 ', "$method, $what")->{body},
            qr{^<GetCallerIdentityResponse .*<Arn>arn:aws:iam::$number:root</Arn>}, 'who');
    }
}
like($t->post('/?Version=2011-06-15', body => 'Action=GetCallerIdentity', @sts, @form)
    ->{status}, qr/405/, 'the action is in the query, or none of it');
answers($t->post($who, body => 'Pad=x', @sts, @form), '200 ', 'the rest may be in the form');
answers($t->post($who, body => 'Version=2011-06-15', @sts, @form),
    '400 MalformedQueryString', 'and nothing in both');
answers($t->get($t->presign('GET', $who, @sts, headers => [ [ 'x-k8s-aws-id' => 'cluster' ] ]),
    sign => 0, headers => [ [ 'x-k8s-aws-id' => 'cluster' ] ]), '200 ',
    'with a header that is signed');
answers($t->get($t->presign('GET', $who, @sts, headers => [ [ 'x-k8s-aws-id' => 'cluster' ] ]),
    sign => 0, headers => [ [ 'x-k8s-aws-id' => 'other' ] ]), '403 SignatureDoesNotMatch',
    'and none but that');
answers($t->get($t->presign('GET', $who, @sts) =~ s/GetCallerIdentity/GetSessionToken/r,
    sign => 0), '403 SignatureDoesNotMatch', 'another action than was signed');
answers($t->get($t->presign('GET', $who, @sts, amz_date => Test::S3::amz_date(-700)), sign => 0),
    '403 SignatureDoesNotMatch', 'a link that is over');
answers($t->get($who, sign => 0), '403 AccessDenied', 'of nobody: the buckets');
answers($t->get('/?Action=AssumeRoleWithWebIdentity&Version=2011-06-15', sign => 0),
    '400 ValidationError', 'but for what needs no signature');
is($t->get($who)->{body} =~ /<ListAllMyBucketsResult/, 1, 'signed for S3: the buckets');
is($t->get($t->presign('GET', $who), sign => 0)->{body} =~ /<ListAllMyBucketsResult/, 1,
    'in the query, too');
answers($t->post($who), '405 MethodNotAllowed', 'which cannot be posted');
answers($t->put($who, @sts), '405 MethodNotAllowed', 'nor is STS put');
answers($t->get("/bkt$who" =~ s{/\?}{?}r, @sts), '400 AuthorizationHeaderMalformed',
    'of a bucket nothing changes');

# --- signatures ------------------------------------------------------------------

answers($t->post('/', body => 'Action=ListUsers', sign => 0, @form),
    '403 MissingAuthenticationToken', 'nobody');
like($t->post('/', body => 'Action=ListUsers', sign => 0, @form)->{body},
    qr{^<ErrorResponse xmlns}, 'is told in IAM\'s way');
answers(iam('ListUsers', [], secret_key => 'wrong'),
    '403 SignatureDoesNotMatch', 'wrong secret');
answers(iam('ListUsers', [], access_key => 'AKIANOBODY'),
    '403 InvalidClientTokenId', 'unknown key');
answers(iam('ListUsers', [], amz_date => Test::S3::amz_date(-1000)),
    '403 SignatureDoesNotMatch', 'too old');
answers(iam('ListUsers', [], region => 'eu-west-1'), '200 ', 'any region');
my $body = 'Action=ListUsers&Version=2010-05-08';
answers($t->post('/', body => $body, service => 'iam', @form,
    raw => 'Action=ListRoles&Version=2010-05-08'),
    '403 SignatureDoesNotMatch', 'another form than was signed');
answers($t->query('ec2', [ Action => 'ListUsers' ]), '405 MethodNotAllowed',
    'another service');
answers(iam('ListUsers', [], unsigned => [ 'host' ]),
    '403 SignatureDoesNotMatch', 'host not signed');
answers($t->query('iam', [ Action => 'ListUsers' ],
    headers => [ [ 'x-amz-security-token' => 'x' ] ],
    unsigned => [ 'x-amz-security-token' ]), '403 SignatureDoesNotMatch',
    'token not signed');
answers($t->query('iam', [ Action => 'ListUsers' ],
    headers => [ [ 'x-amz-security-token' => 'x' ] ]),
    '403 InvalidClientTokenId', 'a token that the key does not have');
answers($t->post('/', body => $body, sign => 0, headers => [ @{ $form[1] },
    [ Authorization => 'AWS4-HMAC-SHA256 nonsense' ] ]),
    '400 IncompleteSignature', 'nonsense');
for ([ sha256_hex($body), '200 ', 'right' ],
    [ sha256_hex('x'), '403 SignatureDoesNotMatch', 'wrong' ],
    [ 'UNSIGNED-PAYLOAD', '403 SignatureDoesNotMatch', 'not said' ],
    [ 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', '403 SignatureDoesNotMatch',
        'of chunks' ])
{
    my ($sha256, $expected, $what) = @$_;
    answers($t->post('/', body => $body, service => 'iam', sha256 => $sha256,
        headers => [ @{ $form[1] }, [ 'x-amz-content-sha256' => $sha256 ] ]),
        $expected, "x-amz-content-sha256 is $what");
}
# a key for one service is none for another
for my $service (qw(iam sts iam)) {
    answers($t->post('/', @form, service => $service, body => $service eq 'iam'
        ? $body : 'Action=GetCallerIdentity&Version=2011-06-15'), '200 ',
        "$service, after others");
}
is($t->get('/bkt')->{status}, 200, 'and S3');

# --- forms ---------------------------------------------------------------------------

sub raw { return $t->post('/', body => $_[0], service => 'iam', @form) }

my $version = 'Version=2010-05-08';
for ([ '', '400 InvalidAction', 'empty' ],
    [ 'a', '400 InvalidAction', 'no action' ],
    [ 'Action', '400 InvalidAction', 'no value' ],
    [ 'Action=ListUsers', '200 ', 'no version' ],
    [ "&Action=ListUsers&&$version&", '200 ', 'empty pairs' ],
    [ "Action=List%55sers&$version", '200 ', 'encoded' ],
    [ 'Action=ListUsers&Version=2011-06-15', '400 InvalidAction', 'version of STS' ],
    [ "Action=AssumeRole&$version", '400 InvalidAction', 'action of STS' ],
    [ "Action=listusers&$version", '400 InvalidAction', 'lower case' ],
    [ "Action=DropTables&$version", '400 InvalidAction', 'of nobody' ],
    [ "Action=CreateLoginProfile&$version", '501 NotImplemented', 'of AWS only' ],
    [ "Action=CreateUser&$version&UserName=u&Tags.member.1.Key=k",
        '501 NotImplemented', 'tags' ],
    [ "Action=CreateUser&$version", '400 ValidationError', 'no name' ],
    [ "Action=CreateUser&$version&UserName=", '400 ValidationError', 'empty name' ],
    [ "Action=CreateUser&$version&UserName=" . 'a' x 65, '400 ValidationError',
        'long name' ],
    [ "Action=GetUser&$version&UserName=" . 'a' x 9000, '404 NoSuchEntity',
        'very long name' ],
    [ "Action=CreateUser&$version&UserName=a&Path=/" . 'p' x 600 . '/',
        '400 ValidationError', 'long path' ],
    [ "Action=ListUsers&$version&MaxItems=1001", '400 ValidationError', 'too many' ],
    [ "Action=ListUsers&$version&MaxItems=-1", '400 ValidationError', 'negative' ],
    [ 'Action=%zz', '400 MalformedQueryString', 'no hex' ],
    [ 'Action=ListUsers%4', '400 MalformedQueryString', 'cut' ],
    [ 'Action=ListUsers%00', '400 MalformedQueryString', 'NUL' ],
    [ 'Action=ListUsers%ff', '400 MalformedQueryString', 'no UTF-8' ],
    [ '=x', '400 MalformedQueryString', 'no name' ],
    [ 'Action=ListUsers&Action=ListRoles', '400 MalformedQueryString', 'twice' ],
    [ "Action=ListUsers&$version" . join('', map { "&f$_=" } 1 .. 254), '200 ',
        '256 fields' ],
    [ "Action=ListUsers&$version" . join('', map { "&f$_=" } 1 .. 255),
        '400 MalformedQueryString', '257 fields' ])
{
    my ($text, $expected, $what) = @$_;
    answers(raw($text), $expected, "a form: $what");
}
like(raw("Action=<Drop>&$version")->{body}, qr{operation &lt;Drop&gt; for},
    'what is shown is escaped');

# --- sizes, and how forms come -----------------------------------------------------

my $full = "$body&Pad=" . 'x' x (65536 - length "$body&Pad=");
answers(raw($full), '200 ', '64 KiB');
answers(raw($full . 'x'), '413 RequestEntityTooLarge', 'a byte more');
answers($t->post('/', body => '', service => 'iam', no_length => 1,
    headers => [ @{ $form[1] }, [ 'Transfer-Encoding' => 'chunked' ] ],
    raw => "0\r\n\r\n"), '400 ValidationError', 'no length');

# in pieces, each after nginx has taken the one before
for my $text ($body, $full) {
    my $socket = $t->connect();
    my $head = $t->compose('POST', '/', body => $text, service => 'iam', @form);
    for my $piece ($head, $text =~ /(.{1,9000})/gs) {
        $t->write_all($socket, $piece);
        select undef, undef, undef, 0.01;
    }
    answers($t->read_response($socket), '200 ', 'in pieces of ' . length $text);
}

# on one connection
my $socket = $t->connect();
answers($t->post('/', body => $_, service => 'iam', @form, socket => $socket),
    '200 ', 'kept alive') for $body, $full, $body;
answers($t->post('/', body => $body, service => 'iam', @form, socket => $socket,
    secret_key => 'x'), '403 SignatureDoesNotMatch', 'an error in between');
is($t->get('/bkt', socket => $socket)->{status}, 200, 'and S3');

# who waits for 100 Continue gets it
$socket = $t->connect();
$t->write_all($socket, $t->compose('POST', '/', body => $body, service => 'iam',
    headers => [ @{ $form[1] }, [ Expect => '100-continue' ] ]));
is($t->read_response($socket)->{status}, 100, 'go on');
$t->write_all($socket, $body);
answers($t->read_response($socket), '200 ', 'then the answer');

# who goes away in mid form harms nobody
$socket = $t->connect();
$t->write_all($socket, $t->compose('POST', '/', body => $full, service => 'iam',
    @form) . substr $full, 0, 30000);
close $socket;
answers(raw($body), '200 ', 'after one who went away');

# --- nothing secret is logged --------------------------------------------------------

my ($secret) = iam('CreateAccessKey')->{body}
    =~ m{<SecretAccessKey>([^<]{40})</SecretAccessKey>};
ok($secret, 'a secret is told');
unlike(iam('ListAccessKeys')->{body}, qr/\Q$secret\E|Secret/, 'once');
unlike($t->read_file($_), qr/\Q$secret\E|\Q$t->{secret_key}\E/, "not in $_")
    for qw(error.log access.log s3d.log s3d.out);

$t->done();
