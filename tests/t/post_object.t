#!/usr/bin/perl

# Uploads from browsers' forms: multipart/form-data with a signed policy.

use strict;
use warnings;

use Digest::MD5 qw(md5_base64 md5_hex);
use Digest::SHA qw(hmac_sha256_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use MIME::Base64 qw(encode_base64);
use POSIX qw(strftime);
use Test::More;
use Test::S3;

my $t = Test::S3->new(server => 'location /regional {
    s3_pass s3d; s3_region eu-west-1; }')->run();
my $boundary = '----WebKitFormBoundary7MA4YWxkTrZu0gW';
my $r;

# --- forms --------------------------------------------------------------------

sub expires {
    my ($seconds) = @_;
    return strftime('%Y-%m-%dT%H:%M:%S.000Z', gmtime(time() + $seconds));
}

sub field {
    my ($name, $value) = @_;
    return "--$boundary\r\nContent-Disposition: form-data; name=\"$name\""
        . "\r\n\r\n$value\r\n";
}

# The fields that sign a policy.  Options: conditions (JSON, besides that on
# bucket and signature), expires (seconds), region, secret_key.
sub signature {
    my (%o) = @_;
    my $when = Test::S3::amz_date();
    my $region = $o{region} // $Test::S3::REGION;
    my $date = substr $when, 0, 8;
    my @fields = ([ 'x-amz-algorithm' => 'AWS4-HMAC-SHA256' ],
        [ 'x-amz-credential' => join '/', $o{access_key} // $t->{access_key},
            $date, $region, 's3', 'aws4_request' ],
        [ 'x-amz-date' => $when ]);
    my $policy = encode_base64(sprintf('{"expiration":"%s","conditions":[%s]}',
        expires($o{expires} // 600), join ',',
        '{"bucket":"' . ($o{bucket} // 'bucket') . '"}',
        (map { qq({"$_->[0]":"$_->[1]"}) } @fields),
        $o{conditions} // '["starts-with","$key",""]'), '');
    return @fields, [ policy => $policy ],
        [ 'x-amz-signature' => hmac_sha256_hex($policy, Test::S3::signing_key(
            $o{secret_key} // $t->{secret_key}, $date, $region)) ];
}

# A form; options: fields ([[name, value], ...]), file, filename, after, and
# those of signature(); unsigned.
sub form {
    my (%o) = @_;
    my $filename = defined $o{filename} ? "; filename=\"$o{filename}\"" : '';
    return join('', map { field(@$_) } @{ $o{fields} },
            $o{unsigned} ? () : signature(%o))
        . "--$boundary\r\nContent-Disposition: form-data; name=\"file\""
        . "$filename\r\nContent-Type: text/plain\r\n\r\n$o{file}\r\n"
        . join('', map { field(@$_) } @{ $o{after} || [] })
        . "--$boundary--\r\n";
}

sub upload {
    my (%o) = @_;
    my $body = form(%o);
    return $t->post($o{target} // '/bucket', sign => 0, body => $body,
        socket => $o{socket}, headers => [
            [ 'Content-Type' => "multipart/form-data; boundary=$boundary" ],
            @{ $o{headers} || [] } ]);
}

sub key { return fields => [ [ key => $_[0] ] ] }

is($t->put('/bucket')->{status}, 200, 'a bucket');

# --- what is stored -------------------------------------------------------------

$r = upload(key('a/k'), file => 'hello');
is($r->{status}, 204, 'an upload');
is($r->{headers}{etag}, '"' . md5_hex('hello') . '"', 'ETag');
is($r->{headers}{location}, 'http://' . $t->host() . '/bucket/a%2Fk',
    'Location');
ok($r->{headers}{'x-amz-checksum-crc64nvme'}, 'a checksum');
is($t->get('/bucket/a/k')->{body}, 'hello', 'is stored');
is($t->head('/bucket/a/k')->{headers}{'content-type'}, 'binary/octet-stream',
    'the type is not that of the part');

$r = upload(target => '/bucket/', fields => [ [ key => 'in/${filename}' ],
    [ 'Content-Type' => 'image/png' ], [ 'x-amz-meta-a' => 'b' ],
    [ success_action_status => 201 ] ], filename => 'C:\\x\\y.png', file => '',
    conditions => '["starts-with","$key","in/"],'
        . '["starts-with","$content-type","image/"],'
        . '{"x-amz-meta-a":"b"},{"success_action_status":"201"}');
is($r->{status}, 201, 'an answer in XML');
like($r->{body}, qr{^<\?xml\ version="1.0"\ encoding="UTF-8"\?>\n<PostResponse>
    <Location>http://[\d.:]+/bucket/in%2Fy\.png</Location>
    <Bucket>bucket</Bucket><Key>in/y\.png</Key>
    <ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag>
    </PostResponse>$}x, 'PostResponse');
$r = $t->head('/bucket/in/y.png');
is($r->{status}, 200, 'named as the file');
is($r->{headers}{'content-type'}, 'image/png', 'type');
is($r->{headers}{'x-amz-meta-a'}, 'b', 'metadata');

$r = upload(fields => [ [ key => 'k' ],
    [ success_action_redirect => 'http://example.com/?a=b' ] ], file => 'x',
    conditions => '{"key":"k"},["starts-with","$success_action_redirect",""]');
is($r->{status}, 303, 'a redirect');
is($r->{headers}{location}, 'http://example.com/?a=b&bucket=bucket&key=k'
    . '&etag=%22' . md5_hex('x') . '%22', 'to the page that the form names');

my $big = join '', map { pack 'N', $_ * 2654435761 % 2**32 } 1 .. 4_500_000;
substr $big, 1000, 40, "\r\n--$boundary" . 'x';    # a line that is none
substr $big, 1000, 1, 'y';
$r = upload(key('big'), file => $big);
is($r->{status}, 204, 'a file of several pieces');
is(md5_hex($t->get('/bucket/big')->{body}), md5_hex($big), 'comes back whole');
is($t->get('/bucket/big', headers => [ [ Range => 'bytes=8388600-8388620' ] ])
    ->{body}, substr($big, 8388600, 21), 'also where pieces meet');
$r = $t->put('/bucket/copy',
    headers => [ [ 'x-amz-copy-source' => '/bucket/big' ] ]);
is($r->{status}, 200, 'copied');
is($t->delete('/bucket/big')->{status}, 204, 'the original is deleted');
is(md5_hex($t->get('/bucket/copy')->{body}), md5_hex($big), 'the copy is not');

# --- refusals --------------------------------------------------------------------

sub refused {
    my ($what, $wanted, %o) = @_;
    my $answer = upload(%o);
    my $message = $answer->{message} =~ s/&quot;/"/gr;
    is("$answer->{status} $answer->{code}: $message", $wanted, $what);
    return $answer;
}

my $denied = '403 AccessDenied: Invalid according to Policy:';
refused('expired', "$denied Policy expired.", key('n'), file => 'x',
    expires => -1);
refused('a condition', "$denied Policy Condition failed: "
    . '["starts-with", "$key", "user/"]', key('n'), file => 'x',
    conditions => '["starts-with","$key","user/"]');
refused('a field that is not covered', "$denied Extra input fields: Colour",
    fields => [ [ key => 'n' ], [ Colour => 'red' ] ], file => 'x');
refused('another bucket', "$denied Policy Condition failed: "
    . '["eq", "$bucket", "other"]', key('n'), file => 'x', bucket => 'other');
refused('a bad policy', '400 InvalidPolicyDocument: Invalid Policy: '
    . 'Invalid JSON.', key('n'), file => 'x', conditions => '{');
refused('anonymous', '403 AccessDenied: Access Denied', key('n'), file => 'x',
    unsigned => 1);
refused('a wrong secret', '403 SignatureDoesNotMatch: The request signature '
    . 'we calculated does not match the signature you provided. Check your '
    . 'key and signing method.', key('n'), file => 'x', secret_key => 'wrong');
refused('an unknown key', '403 InvalidAccessKeyId: The AWS Access Key Id you '
    . 'provided does not exist in our records.', key('n'), file => 'x',
    access_key => 'AKIANOBODY');
refused('no key', "400 InvalidArgument: Bucket POST must contain a field named "
    . "'key'.  If it is specified, please check the order of the fields.",
    fields => [], file => 'x', after => [ [ key => 'n' ] ]);
refused('no bucket', '404 NoSuchBucket: The specified bucket does not exist',
    key('n'), file => 'x', target => '/nosuch', bucket => 'nosuch');

$r = $t->put('/regional', region => 'eu-west-1');
is($r->{status}, 200, 'a bucket where one region is required');
$r = refused('another region', "400 InvalidArgument: the region 'us-east-1' is "
    . "wrong; expecting 'eu-west-1'", key('n'), file => 'x',
    target => '/regional', bucket => 'regional');
like($r->{body}, qr{<Region>eu-west-1</Region>}, 'which one');
$r = upload(key('n'), file => 'x', target => '/regional', bucket => 'regional',
    region => 'eu-west-1');
is($r->{status}, 204, 'the required one');

my $range = '["starts-with","$key",""],["content-length-range",2,1000]';
$r = refused('too small', '400 EntityTooSmall: Your proposed upload is smaller '
    . 'than the minimum allowed size', key('n'), file => 'x',
    conditions => $range);
like($r->{body}, qr{<ProposedSize>1</ProposedSize><MinSizeAllowed>2<}, 'sizes');
$r = refused('too large', '400 EntityTooLarge: Your proposed upload exceeds '
    . 'the maximum allowed size', key('n'), file => 'x' x 1001,
    conditions => $range);
like($r->{body}, qr{<ProposedSize>1001</ProposedSize><MaxSizeAllowed>1000<},
    'sizes');

# The rest of what is too large need not be sent.
{
    my $s = $t->connect();
    my $body = form(key('n'), file => 'x' x 4_000_000, conditions => $range);
    $t->write_all($s, $t->compose('POST', '/bucket', sign => 0, no_length => 1,
        headers => [ [ 'Content-Length' => length $body ],
            [ 'Content-Type' => "multipart/form-data; boundary=$boundary" ] ])
        . substr $body, 0, 100_000);
    $r = $t->read_response($s);
    is("$r->{status} $r->{code}", '400 EntityTooLarge', 'while it comes');
}
is($t->get('/bucket/n')->{status}, 404, 'nothing was stored');

$r = $t->post('/bucket', body => 'x', headers => [ [ 'Content-Type' => 'a/b' ] ]);
is("$r->{status} $r->{code}", '412 PreconditionFailed', 'no form');
$r = $t->post('/bucket', sign => 0, no_length => 1, headers => [
    [ 'Content-Type' => "multipart/form-data; boundary=$boundary" ],
    [ 'Transfer-Encoding' => 'chunked' ] ], raw => "0\r\n\r\n");
is("$r->{status} $r->{code}", '411 MissingContentLength', 'no length');
$r = $t->post('/bucket', sign => 0, body => 'x', headers => [
    [ 'Content-Type' => "multipart/form-data; boundary=$boundary" ] ]);
is("$r->{status} $r->{code}", '400 MalformedPOSTRequest', 'no part');
$r = upload(fields => [ [ key => 'n' ], [ 'x-ignore-a' => 'x' x 20480 ] ],
    file => 'x');
is("$r->{status} $r->{code}", '400 MaxPostPreDataLengthExceeded',
    'too much before the file');
$r = upload(key('n'), file => 'x', headers => [ [ 'If-None-Match' => '*' ] ]);
is("$r->{status} $r->{code}", '501 NotImplemented', 'no conditions');

# --- connections -------------------------------------------------------------------

{
    my $s = $t->connect();
    for my $i (1 .. 3) {
        is(upload(key("kept$i"), file => "x$i", socket => $s)->{status}, 204,
            "kept alive: $i");
    }
    is($t->get('/bucket/kept3', socket => $s)->{body}, 'x3', 'then a GET');
}
{
    my $s = $t->connect();
    my $body = form(key('expect'), file => 'x');
    $t->write_all($s, $t->compose('POST', '/bucket', sign => 0, no_length => 1,
        headers => [ [ 'Content-Length' => length $body ],
            [ Expect => '100-continue' ],
            [ 'Content-Type' => "multipart/form-data; boundary=$boundary" ] ]));
    is($t->read_response($s)->{status}, 100, '100 Continue');
    $t->write_all($s, $body);
    is($t->read_response($s)->{status}, 204, 'then the form');
}
{
    my $s = $t->connect();
    my $body = form(key('slow'), file => 'slowly');
    $t->write_all($s, $t->compose('POST', '/bucket', sign => 0, no_length => 1,
        headers => [ [ 'Content-Length' => length $body ],
            [ 'Content-Type' => "multipart/form-data; boundary=$boundary" ] ]));
    $t->write_all($s, $_) for unpack '(a7)*', $body;
    is($t->read_response($s)->{status}, 204, 'in small pieces');
    is($t->get('/bucket/slow')->{body}, 'slowly', 'stored');
}

# --- browsers ------------------------------------------------------------------------

my $rules = '<CORSConfiguration><CORSRule><AllowedMethod>POST</AllowedMethod>'
    . '<AllowedOrigin>http://page.test</AllowedOrigin></CORSRule>'
    . '</CORSConfiguration>';
$r = $t->put('/bucket?cors', body => $rules,
    headers => [ [ 'Content-MD5' => md5_base64($rules) . '==' ] ]);
is($r->{status}, 200, 'CORS rules');
$r = upload(key('cors'), file => 'x',
    headers => [ [ Origin => 'http://page.test' ] ]);
is($r->{headers}{'access-control-allow-origin'}, 'http://page.test',
    'the page may read the answer');
$r = upload(key('cors'), file => 'x', expires => -1,
    headers => [ [ Origin => 'http://page.test' ] ]);
is("$r->{status} $r->{headers}{'access-control-allow-origin'}",
    '403 http://page.test', 'also a refusal');

my $on = '<VersioningConfiguration><Status>Enabled</Status>'
    . '</VersioningConfiguration>';
$r = $t->put('/bucket?versioning', body => $on,
    headers => [ [ 'Content-MD5' => md5_base64($on) . '==' ] ]);
is($r->{status}, 200, 'versioning');
$r = upload(key('v'), file => 'x');
like($r->{headers}{'x-amz-version-id'}, qr/^[0-9a-f]{32}$/, 'a version');

$t->done();
