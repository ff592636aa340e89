#!/usr/bin/perl

# Temporary credentials, above all those for the tokens of an identity
# provider: tokens are made and forged here with openssl's command.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Test::More;
use Test::S3;

my $keys = tempdir(CLEANUP => 1);
my $jwks = "$keys/jwks.json";
my $issuer = 'https://idp.example.org/realm';
my $json = JSON::PP->new->canonical;
my $t = Test::S3->new(s3d => <<"EOF")->run();
identity_providers = ( { issuer = "$issuer"; audience = "s3"; jwks = "$jwks"; } );
change_log = "$keys/changes.log";
EOF

# --- keys and tokens -----------------------------------------------------------

sub base64url {
    my $text = encode_base64($_[0], '');
    $text =~ tr{+/}{-_};
    return $text =~ s/=+$//r;
}

sub run_openssl {
    my ($input, @words) = @_;
    open my $f, '>', "$keys/in" or die $!;
    print $f $input;
    close $f;
    open my $p, '-|', "openssl @words < $keys/in 2>/dev/null" or die $!;
    binmode $p;
    local $/;
    my $output = <$p>;
    close $p or die "openssl @words";
    return $output;
}

run_openssl('', "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out $keys/$_.pem")
    for qw(rsa other);
run_openssl('', "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $keys/ec.pem");

sub rsa_jwk {
    my ($name, $id) = @_;
    my ($hex) = run_openssl('', "rsa -in $keys/$name.pem -noout -modulus")
        =~ /=([0-9A-F]+)/;
    return { kty => 'RSA', kid => $id, use => 'sig', alg => 'RS256',
        e => 'AQAB', n => base64url(pack 'H*', $hex) };
}

sub ec_jwk {
    my ($id) = @_;
    my $point = substr run_openssl('', "pkey -in $keys/ec.pem -pubout -outform DER"), -64;
    return { kty => 'EC', crv => 'P-256', kid => $id,
        x => base64url(substr $point, 0, 32), y => base64url(substr $point, 32) };
}

# As an administrator replaces it: another file under the same name.
sub write_keys {
    open my $f, '>', "$jwks.new" or die $!;
    print $f $json->encode({ keys => [@_] });
    close $f;
    rename "$jwks.new", $jwks or die $!;
}

# DER: 30 len 02 len r 02 len s.
sub flat_signature {
    my ($der) = @_;
    my (undef, undef, undef, $r, undef, $s) = unpack 'CCCC/aCC/a', $der;
    return join '', map { substr "\0" x 32 . $_, -32 } $r, $s;
}

sub token {
    my ($key, $header, %claims) = @_;
    my %all = (iss => $issuer, sub => 'alice', aud => 's3', iat => time() - 5,
        exp => time() + 600, %claims);
    delete $all{$_} for grep { !defined $all{$_} } keys %all;
    my $text = join '.', map { base64url($json->encode($_)) } $header, \%all;
    my $signature = ref $key ? $key->($text)
        : run_openssl($text, "dgst -sha256 -sign $keys/$key.pem");
    $signature = flat_signature($signature) if $key eq 'ec';
    return "$text." . base64url($signature);
}

sub rs256 { return token('rsa', { alg => 'RS256', kid => 'r1' }, @_) }
sub es256 { return token('ec', { alg => 'ES256', kid => 'e1' }, @_) }

# --- requests ------------------------------------------------------------------

sub answers {
    my ($r, $expected, $what) = @_;
    is("$r->{status} " . ($r->{code} // ''), $expected, $what);
    diag($r->{body}) if $expected eq '200 ' && $r->{status} != 200;
    return $r;
}

sub iam {
    my ($action, @fields) = @_;
    my $r = $t->query('iam', [ Action => $action, Version => '2010-05-08', @fields ]);
    $r->{status} == 200 or die "$action: $r->{status} $r->{body}";
    return $r->{body};
}

sub sts {
    my ($action, $fields, %o) = @_;
    return $t->query('sts', [ Action => $action, Version => '2011-06-15',
        @$fields ], %o);
}

my $number = $t->ctl('account', 'show', 'root')->{number};
my $role = "arn:aws:iam::$number:role/web";
my $provider = "arn:aws:iam::$number:oidc-provider/idp.example.org/realm";

sub policy {
    return $json->encode({ Version => '2012-10-17', Statement => [@_] });
}

sub trust {
    my (%more) = @_;
    return policy({ Effect => 'Allow', Principal => { Federated => $provider },
        Action => 'sts:AssumeRoleWithWebIdentity', %more });
}

# Nobody signs it.
sub assume {
    my ($token, @fields) = @_;
    return sts('AssumeRoleWithWebIdentity', [ RoleArn => $role,
        RoleSessionName => 'session', WebIdentityToken => $token, @fields ],
        sign => 0);
}

sub credentials {
    my ($r) = @_;
    my %found = map { $_ => $r->{body} =~ m{<$_>([^<]+)</$_>} }
        qw(AccessKeyId SecretAccessKey SessionToken Expiration);
    return (access_key => $found{AccessKeyId},
        secret_key => $found{SecretAccessKey},
        headers => [ [ 'x-amz-security-token' => $found{SessionToken} ] ]);
}

$t->put('/bkt');
$t->put('/bkt/k', body => 'data');
iam('CreateRole', RoleName => 'web', AssumeRolePolicyDocument => trust());
iam('PutRolePolicy', RoleName => 'web', PolicyName => 'p', PolicyDocument =>
    policy({ Effect => 'Allow', Action => 's3:*', Resource => 'arn:aws:s3:::bkt/*' }));

# --- a token for credentials ---------------------------------------------------

answers(assume(rs256()), '400 InvalidIdentityToken', 'no file of keys');
write_keys(rsa_jwk('rsa', 'r1'), ec_jwk('e1'));
my $r = answers(assume(rs256()), '200 ', 'RS256');
like($r->{body}, qr{<Arn>arn:aws:sts::$number:assumed-role/web/session</Arn>}, 'who it is');
like($r->{body}, qr{<SubjectFromWebIdentityToken>alice</}, 'who it was');
like($r->{body}, qr{<Provider>idp\.example\.org/realm</}, 'where');
like($r->{body}, qr{<Audience>s3</}, 'for whom');
like($r->{body}, qr{</Credentials></AssumeRoleWithWebIdentityResult>},
    'nothing is written behind the secrets: the buffer would leave a copy when it grows');
my %as = credentials($r);
is($t->get('/bkt/k', %as)->{body}, 'data', 'the credentials open objects');
answers($t->get('/bkt', %as), '403 AccessDenied', 'and not more');
my $web = $t->presign('GET', '/bkt/k', access_key => $as{access_key},
    secret_key => $as{secret_key});
answers($t->get($web, sign => 0), '400 InvalidToken', 'pre-signed without the token');
my $token = Test::S3::uri_escape($as{headers}[0][1]);
$web = $t->presign('GET', "/bkt/k?X-Amz-Security-Token=$token",
    access_key => $as{access_key}, secret_key => $as{secret_key});
is($t->get($web, sign => 0)->{body}, 'data', 'and with it');
like(sts('GetCallerIdentity', [], %as)->{body},
    qr{<UserId>AROA[A-Z2-7]{17}:session</UserId>}, 'known to STS');
answers(assume(es256()), '200 ', 'ES256');
answers(assume(rs256(aud => [ 'x', 's3' ])), '200 ', 'several audiences');
answers(sts('AssumeRoleWithWebIdentity', [ RoleArn => $role,
    RoleSessionName => 'session', WebIdentityToken => rs256() ]), '200 ',
    'signed, though it need not be');

answers($t->post("/?Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=$role"
    . '&RoleSessionName=session&WebIdentityToken=' . es256(), sign => 0, no_length => 1),
    '200 ', 'all in the query');

%as = credentials(assume(rs256(), Policy => policy({ Effect => 'Allow',
    Action => 's3:GetObject', Resource => '*' })));
is($t->get('/bkt/k', %as)->{status}, 200, 'narrowed: what is left');
answers($t->put('/bkt/k', %as, body => 'x'), '403 AccessDenied', 'narrowed');

# --- tokens that are not believed ------------------------------------------------

my $public = run_openssl('', "pkey -in $keys/rsa.pem -pubout");
my $none = sub { '' };
for ([ token('other', { alg => 'RS256', kid => 'r1' }), 'forged' ],
    [ token('rsa', { alg => 'RS256', kid => 'r2' }), 'an unknown key' ],
    [ token('rsa', { alg => 'RS256', kid => 'e1' }), 'a key of another kind' ],
    [ token($none, { alg => 'none' }), 'not signed' ],
    [ token($none, { alg => 'RS256', kid => 'r1' }), 'an empty signature' ],
    [ token(sub { hmac_sha256($_[0], $public) }, { alg => 'HS256', kid => 'r1' }),
        'the public key as a secret' ],
    [ token('rsa', { alg => 'ES256', kid => 'e1' }), 'the other algorithm' ],
    [ token('rsa', { alg => 'RS256', kid => 'r1', crit => ['exp'] }), 'critical' ],
    [ rs256(iss => 'https://idp.example.org'), 'another issuer' ],
    [ rs256(iss => undef), 'no issuer' ], [ rs256(exp => undef), 'no end' ],
    [ rs256(sub => undef), 'nobody' ], [ rs256() . 'x', 'changed' ],
    [ 'a.b.c', 'nonsense' ], [ 'x' x 20001, 'long' ])
{
    answers(assume($_->[0]), '400 InvalidIdentityToken', "a token: $_->[1]");
}
answers(assume(rs256(exp => time() - 1)), '400 ExpiredTokenException', 'over');
answers(assume(rs256(aud => 's4')), '403 IDPRejectedClaim', 'for others');
answers(assume(rs256(nbf => time() + 600)), '403 IDPRejectedClaim', 'not yet');

# --- keys change ------------------------------------------------------------------

write_keys(rsa_jwk('other', 'r1'));
answers(assume(rs256()), '400 InvalidIdentityToken', 'a key that has gone');
answers(assume(token('other', { alg => 'RS256', kid => 'r1' })), '200 ', 'a new one');
write_keys();
answers(assume(rs256()), '400 InvalidIdentityToken', 'none');
write_keys(rsa_jwk('rsa', 'r1'));
answers(assume(rs256()), '200 ', 'it is back');

# --- whom the role trusts ----------------------------------------------------------

sub trusting {
    my ($policy, $token, $expected, $what) = @_;
    iam('UpdateAssumeRolePolicy', RoleName => 'web', PolicyDocument => $policy);
    answers(assume($token), $expected, $what);
}

sub when { return trust(Condition => { StringEquals => {@_} }) }

my $name = 'idp.example.org/realm';
my $denied = '403 AccessDenied';
trusting(when("$name:sub" => 'alice', "$name:aud" => 's3'), rs256(), '200 ', 'alice');
trusting(when("$name:sub" => 'bob'), rs256(), $denied, 'not alice');
trusting(when("$name:team" => 'a'), rs256(), $denied, 'without a team');
trusting(when("$name:team" => 'a'), rs256(team => 'a'), '200 ', 'of a team');
trusting(when('other.example.org:sub' => 'alice'), rs256(), $denied, 'alice from elsewhere');
trusting(when('sts:RoleSessionName' => 'session'), rs256(), '200 ', 'under a name');
trusting(when('sts:RoleSessionName' => 'other'), rs256(), $denied, 'under no other');
trusting(trust(Condition => { 'ForAnyValue:StringEquals' => { "$name:amr" => 'otp' } }),
    rs256(amr => [qw(pwd otp)]), '200 ', 'any of several');
trusting(trust(Principal => { Federated => "$provider/x" }), rs256(), $denied,
    'another provider');
trusting(trust(Principal => { AWS => $number }), rs256(), $denied, 'an account');
trusting(trust(Action => 'sts:AssumeRole'), rs256(), $denied, 'another way');
trusting(policy({ Effect => 'Allow', Principal => { Federated => $provider },
        Action => 'sts:AssumeRoleWithWebIdentity' },
    { Effect => 'Deny', Principal => '*', Action => 'sts:*',
        Condition => { StringEquals => { "$name:sub" => 'alice' } } }),
    rs256(), $denied, 'denied');
trusting(trust(), rs256(), '200 ', 'the provider');
$role .= 'x';
answers(assume(rs256()), $denied, 'no role, which is not told');
$role =~ s/x$//;

answers(assume(rs256(), DurationSeconds => 899), '400 ValidationError', 'short');
answers(assume(rs256(), DurationSeconds => 3601), '400 ValidationError', 'long');
answers(assume(rs256(), DurationSeconds => 'x'), '400 ValidationError', 'no number');
answers(sts('AssumeRoleWithWebIdentity', [ RoleArn => $role,
    RoleSessionName => 'session' ], sign => 0), '400 ValidationError', 'no token');
answers(sts('AssumeRole', [ RoleArn => $role, RoleSessionName => 'session' ],
    sign => 0), '403 MissingAuthenticationToken', 'nobody without a token');
answers(sts('GetCallerIdentity', [], sign => 0), '403 MissingAuthenticationToken',
    'nobody is nobody');

# --- who got credentials is logged -----------------------------------------------------

# The last change, without what the request brings along.
sub last_change {
    open my $f, '<', "$keys/changes.log" or die $!;
    my $line = decode_json((<$f>)[-1]);
    delete @$line{qw(time requestId sourceIp)};
    return $line;
}

$role .= 'x';
assume(rs256(), DurationSeconds => 900);
my %by_token = (principal => 'anonymous', change => 'identity',
    operation => 'AssumeRoleWithWebIdentity');
my %of_alice = (RoleSessionName => 'session', Provider => $name,
    SubjectFromWebIdentityToken => 'alice');
is_deeply(last_change(), { %by_token, target => $role, status => 403,
    error => 'AccessDenied', parameters => { %of_alice, RoleArn => $role,
        DurationSeconds => '900' } }, 'a change: who was denied which role');
$role =~ s/x$//;
%as = credentials(assume(rs256()));
is_deeply(last_change(), { %by_token, target => $role, status => 200, error => '',
    parameters => { %of_alice, RoleArn => $role, AccessKeyId => $as{access_key} } },
    'who got it, and as which key');
assume(rs256() . 'x');
is_deeply(last_change(), { %by_token, target => $role, status => 400,
    error => 'InvalidIdentityToken', parameters => { RoleArn => $role,
        RoleSessionName => 'session' } }, 'what was not believed tells of nobody');

my %by_root = (principal => "arn:aws:iam::$number:root", change => 'identity',
    accessKey => $t->{access_key});
my %session = credentials(sts('GetSessionToken', [ DurationSeconds => 1000 ]));
is_deeply(last_change(), { %by_root, operation => 'GetSessionToken',
    target => $by_root{principal}, status => 200, error => '',
    parameters => { AccessKeyId => $session{access_key}, DurationSeconds => '1000' } },
    'a session of a key');
sts('GetCallerIdentity', []);
is(last_change()->{operation}, 'GetSessionToken', 'who only asks is not logged');
sts('AssumeRole', [ RoleArn => $role, RoleSessionName => 's', Policy => policy() ]);
is_deeply(last_change(), { %by_root, operation => 'AssumeRole', target => $role,
    status => 403, error => 'AccessDenied', parameters => { RoleArn => $role,
        RoleSessionName => 's' } }, 'root is refused a role');

# Of what anybody may send, a beginning is kept: 700 bytes, in whole characters.
sts('AssumeRoleWithWebIdentity', [ RoleArn => 'r' x 701,
    RoleSessionName => 's' . "\xc3\xa4" x 400, WebIdentityToken => 'x' ], sign => 0);
my $given = last_change()->{parameters};
is($given->{RoleArn}, 'r' x 700, 'a long parameter is cut');
is($given->{RoleSessionName}, 's' . "\xe4" x 349, 'between two characters');

# --- nothing secret is logged --------------------------------------------------------

my $secret = rs256();
%as = credentials(assume($secret));
sub in_file {
    open my $f, '<', $_[0] or die "$_[0]: $!";
    local $/;
    return <$f>;
}
for my $log ((map { $t->dir() . "/$_" } qw(error.log access.log s3d.log s3d.out)),
    "$keys/changes.log")
{
    my $text = in_file($log);
    ok(index($text, $_) < 0, "not in $log") for $secret, $as{secret_key},
        $as{headers}[0][1], $session{secret_key}, $session{headers}[0][1];
}

$t->done();
