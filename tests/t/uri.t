#!/usr/bin/perl

# Keys are bytes: nothing is merged, normalised or decoded twice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $r;

$t->put('/bkt');

# raw target => what the list must show, URL-encoded.
my @keys = (
    [ '/bkt/a', 'a' ], [ '/bkt/a/', 'a/' ], [ '/bkt/a//b', 'a//b' ],
    [ '/bkt//x', '/x' ], [ '/bkt/../y', '../y' ], [ '/bkt/./z', './z' ],
    [ '/bkt/a/../b', 'a/../b' ], [ '/bkt/p%2Fq', 'p/q' ], [ '/bkt/%252F', '%252F' ],
    [ '/bkt/sp%20ace', 'sp+ace' ], [ '/bkt/plus%2Bsign', 'plus%2Bsign' ],
    [ '/bkt/raw+plus', 'raw%2Bplus' ], [ '/bkt/%e2%82%ac', '%E2%82%AC' ],
    [ '/bkt/%F0%9F%98%80', '%F0%9F%98%80' ], [ '/bkt/q%3Fx%23', 'q%3Fx%23' ],
    [ "/bkt/!*'()", "!*'()" ], [ '/bkt/tab%09%01', 'tab%09%01' ],
    [ '/bkt/am%26p%3Clt', 'am%26p%3Clt' ], [ '/bkt/%61%62', 'ab' ],
);

for (@keys) {
    my ($target) = @$_;
    $r = $t->put($target, body => "body of $target");
    is($r->{status}, 200, "put $target") or diag $r->{body};
}
for (@keys) {
    my ($target) = @$_;
    is($t->get($target)->{body}, "body of $target", "get $target");
}
is($t->get('/bkt/%61')->{body}, 'body of /bkt/a', 'an encoded letter is the letter');
is($t->get('/bkt/a%2F%2Fb')->{body}, 'body of /bkt/a//b', 'an encoded slash is a slash');

sub decoded {
    my ($text) = @_;
    $text =~ tr/+/ /;
    return Test::S3::uri_unescape($text);
}
$r = $t->get('/bkt?list-type=2&encoding-type=url');
my @listed = map { decoded($_) } $r->{body} =~ m{<Key>(.*?)</Key>}g;
is_deeply(\@listed, [ sort map { decoded($_->[1]) } @keys ],
    'every key once, in byte order');
like($r->{body}, qr{<Key>%F0%9F%98%80</Key>}, 'encoded on request');

$r = $t->get('/bkt?list-type=2&prefix=tab');
unlike($r->{body}, qr/[\x00-\x08\x0b\x0c\x0e-\x1f]/, 'no control characters');
like($r->{body}, qr{<Key>tab\t\xef\xbf\xbd</Key>|<Key>tab&#x9;\xef\xbf\xbd</Key>|<Key>tab&#9;\xef\xbf\xbd</Key>},
    'what XML cannot hold is replaced');

for (
    [ '/bkt/nul%00', 400 ], [ '/bkt/%ff%fe', 400 ], [ '/bkt/%zz', 400 ], [ '/bkt/%4', 400 ],
) {
    my ($target, $status) = @$_;
    my $path = $target;
    $r = $t->get($target);
    is($r->{status}, $status, "$target is refused");
    like($r->{body}, qr{<Code>\w+</Code>}, 'clearly');
}

# Bucket names.
for my $name ('ab', 'a' x 64, 'a_b', 'a..b', '192.168.5.4', 'Abc', '-ab', 'ab-') {
    $r = $t->put("/$name");
    is("$r->{status} $r->{code}", '400 InvalidBucketName', "bucket $name");
}
for my $name ('abc', 'a' x 63, 'a.b-c', '1.2.3') {
    is($t->put("/$name")->{status}, 200, "bucket $name");
}

$t->done();
