#!/usr/bin/perl

# Requests without a signature: what a bucket lets everybody do, and nothing
# else.

use strict;
use warnings;

use Digest::MD5 qw(md5_base64);
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $r;

sub answers {
    my ($r, $expected, $what) = @_;
    is("$r->{status} " . ($r->{code} // ''), $expected, $what);
}

sub open_for {
    my (@statements) = map {
        { Effect => 'Allow', Principal => '*', Action => $_->[0],
          Resource => "arn:aws:s3:::$_->[1]" }
    } @_;
    my $r = $t->put('/bkt?policy', body => encode_json(
        { Version => '2012-10-17', Statement => \@statements }));
    $r->{status} == 204 or die "$r->{status} $r->{body}";
}

# A line of a table: method, target, answer, options.
sub anybody {
    my ($what, @lines) = @_;
    for (@lines) {
        my ($method, $target, $expected, @more) = @$_;
        answers($t->request($method, $target, sign => 0, @more), $expected,
            "$what: $method $target");
    }
}

$t->put('/bkt');
$t->delete('/bkt?publicAccessBlock');
$t->put('/bkt/k', body => 'text', headers => [ [ 'Content-Type', 'text/plain' ] ]);
$t->put('/bkt/site/index.html', body => 'page');
$t->put('/closed');

my @closed = (
    [ GET => '/', '403 AccessDenied' ],
    [ GET => '/bkt', '403 AccessDenied' ],
    [ HEAD => '/bkt', '403 ' ],
    [ GET => '/bkt/k', '403 AccessDenied' ],
    [ HEAD => '/bkt/k', '403 ' ],
    [ GET => '/bkt/none', '403 AccessDenied' ],
    [ PUT => '/bkt/k', '403 AccessDenied', body => 'x' ],
    [ DELETE => '/bkt/k', '403 AccessDenied' ],
    [ DELETE => '/bkt', '403 AccessDenied' ],
    [ PUT => '/another', '403 AccessDenied' ],
    [ POST => '/bkt/k?uploads', '403 AccessDenied' ],
    [ GET => '/bkt?policy', '403 AccessDenied' ],
    [ PUT => '/bkt?policy', '403 AccessDenied', body => '{}' ],
    [ GET => '/bkt?publicAccessBlock', '403 AccessDenied' ],
    [ GET => '/bkt?inventory', '403 AccessDenied' ],
    [ GET => '/nowhere', '404 NoSuchBucket' ],
    [ GET => '/nowhere/k', '404 NoSuchBucket' ],
);
anybody('closed', @closed);

# --- a web site --------------------------------------------------------------

open_for([ 's3:GetObject', 'bkt/*' ]);
$r = $t->get('/bkt/k', sign => 0);
is($r->{status}, 200, 'is served');
is($r->{body}, 'text', 'with its bytes');
is($r->{headers}{'content-type'}, 'text/plain', 'and its type');
$r = $t->get('/bkt/k', sign => 0, headers => [ [ Range => 'bytes=1-2' ] ]);
is("$r->{status} $r->{body}", '206 ex', 'in parts');
anybody('readable',
    [ HEAD => '/bkt/k', '200 ' ],
    [ GET => '/bkt/site/index.html', '200 ' ],
    [ GET => '/bkt/none', '403 AccessDenied' ],
    [ HEAD => '/bkt/none', '403 ' ],
    [ GET => '/bkt/k?versionId=null', '403 AccessDenied' ],
    [ GET => '/bkt/k?tagging', '403 AccessDenied' ],
    [ GET => '/bkt/k?response-content-type=text/html', '400 InvalidRequest' ],
    [ HEAD => '/bkt/k?response-expires=x', '400 ' ],
    [ GET => '/closed/k', '403 AccessDenied' ],
    [ GET => '/bkt', '403 AccessDenied' ],
    [ PUT => '/bkt/k', '403 AccessDenied', body => 'x' ],
    [ PUT => '/bkt/copy', '403 AccessDenied',
        headers => [ [ 'x-amz-copy-source', '/bkt/k' ] ] ]);
is($t->get('/bkt/k?response-content-type=text/html', sign => 0)->{message},
    'Request specific response headers cannot be used for anonymous GET requests.',
    'as S3 says it');
is($t->get('/bkt/k?response-content-type=text/html')->{headers}{'content-type'},
    'text/html', 'those who sign may choose');

open_for([ 's3:GetObject', 'bkt/*' ], [ 's3:ListBucket', 'bkt' ]);
anybody('listable',
    [ GET => '/bkt/none', '404 NoSuchKey' ],
    [ HEAD => '/bkt/none', '404 ' ],
    [ GET => '/bkt?list-type=2', '200 ' ],
    [ HEAD => '/bkt', '200 ' ]);
$r = $t->get('/bkt', sign => 0);
like($r->{body}, qr{<Key>k</Key>}, 'shows the keys');

# --- a drop box --------------------------------------------------------------

open_for([ [ 's3:PutObject', 's3:DeleteObject' ], 'bkt/drop/*' ]);
anybody('writable',
    [ PUT => '/bkt/drop/a', '200 ', body => 'dropped' ],
    [ PUT => '/bkt/elsewhere', '403 AccessDenied', body => 'x' ],
    [ PUT => '/bkt/drop/b', '403 AccessDenied', body => 'x',
        headers => [ [ 'x-amz-tagging', 'a=b' ] ] ],
    [ GET => '/bkt/drop/a', '403 AccessDenied' ],
    [ POST => '/bkt/drop/big?uploads', '403 AccessDenied' ]);
$r = $t->get('/bkt/drop/a');
is("$r->{status} $r->{body}", '200 dropped', 'the owner has it');
like($t->get('/bkt?prefix=drop/')->{body}, qr{<Owner><ID>([0-9a-f]{64})</ID>},
    'and owns it');
anybody('writable', [ DELETE => '/bkt/drop/a', '204 ' ]);
answers($t->get('/bkt/drop/a'), '404 NoSuchKey', 'is gone');

my $form = join '', map { "--b\r\nContent-Disposition: form-data; name=\"$_->[0]\""
    . ($_->[0] eq 'file' ? '; filename="f"' : '') . "\r\n\r\n$_->[1]\r\n" }
    [ key => 'drop/form' ], [ file => 'by form' ];
my @form = (body => "$form--b--\r\n",
    headers => [ [ 'Content-Type', 'multipart/form-data; boundary=b' ] ]);
answers($t->post('/bkt', sign => 0, @form), '204 ', 'a form');
is($t->get('/bkt/drop/form')->{body}, 'by form', 'is stored');
$form[1] =~ s{drop/form}{other/form};
answers($t->post('/bkt', sign => 0, @form), '403 AccessDenied', 'not anywhere');
answers($t->post('/closed', sign => 0, @form), '403 AccessDenied', 'nor in any bucket');

my $list = '<Delete><Object><Key>drop/form</Key></Object><Object><Key>k</Key></Object></Delete>';
$r = $t->post('/bkt?delete', sign => 0, body => $list,
    headers => [ [ 'Content-MD5' => md5_base64($list) . '==' ] ]);
like($r->{body}, qr{<Deleted><Key>drop/form</Key></Deleted><Error><Key>k</Key>}, 'each key for itself');

# --- who pays, who asks ------------------------------------------------------

open_for([ 's3:GetObject', 'bkt/*' ]);
$t->put('/bkt?requestPayment', body => '<RequestPaymentConfiguration><Payer>Requester</Payer>'
    . '</RequestPaymentConfiguration>');
anybody('nobody pays', [ GET => '/bkt/k', '403 AccessDenied',
    headers => [ [ 'x-amz-request-payer', 'requester' ] ] ]);
$t->put('/bkt?requestPayment', body => '<RequestPaymentConfiguration><Payer>BucketOwner</Payer>'
    . '</RequestPaymentConfiguration>');
anybody('free again', [ GET => '/bkt/k', '200 ' ]);
anybody('a broken signature is not none',
    [ GET => '/bkt/k', '403 SignatureDoesNotMatch', sign => 1, secret_key => 'wrong' ],
    [ GET => '/bkt/k', '403 InvalidAccessKeyId', sign => 1, access_key => 'AKIANOBODY' ]);

$t->delete('/bkt?policy');
anybody('closed again', grep { $_->[1] !~ /another/ } @closed);

$t->done();
