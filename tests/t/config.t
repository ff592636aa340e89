#!/usr/bin/perl

# The directives: what is wrong is refused by nginx -t, with a reason.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $t = Test::S3->new()->run();
my $good = $t->nginx_conf();
my ($status, $output) = $t->test_config($good);
is($status, 0, 'the harness\'s own configuration') or diag $output;

sub refused {
    my ($from, $to, $reason, $name) = @_;
    (my $text = $good) =~ s/\Q$from\E/$to/ or die "no $from";
    my ($status, $output) = $t->test_config($text);
    isnt($status, 0, "$name is refused");
    like($output, $reason, "$name: says why");
}

refused('s3_zone keys:1m;', '', qr/s3_zone/, 'no zone');
refused('s3_zone keys:1m;', 's3_zone keys:1k;', qr/s3_zone/, 'a small zone');
refused('s3_zone keys:1m;', 's3_zone keys;', qr/s3_zone/, 'a zone without size');
refused('s3_pass s3d;', 's3_pass;', qr/s3_pass/, 's3_pass without a place');
refused('s3_pass s3d;', 's3_pass s3d; s3_pass s3d;', qr/duplicate/, 's3_pass twice');
refused('s3_pass s3d;', 's3_pass s3d; s3_verify maybe;', qr/s3_verify/, 's3_verify');
refused('s3_pass s3d;', 's3_pass s3d; s3_region "a b";', qr/s3_region/, 's3_region');
refused('s3_pass s3d;', 's3_pass s3d; s3_domain "bad domain/";', qr/s3_domain/,
    's3_domain');
refused('s3_pass s3d;', 's3_pass s3d; s3_read_timeout x;', qr/s3_read_timeout/,
    's3_read_timeout');
refused('s3_pass s3d;', 's3_status;', qr/s3_status/, 's3_status without a place');
refused('s3_pass s3d;', 's3_pass s3d; s3_status s3d;', qr/duplicate/,
    's3_status beside s3_pass');
refused('s3_pass s3d;', 's3_pass s3d; } location /s { s3_status 127.0.0.1:9;',
    qr/needs a "unix:" server/, 's3_status of what is not s3d');

$t->done();
