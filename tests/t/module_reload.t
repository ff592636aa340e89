#!/usr/bin/perl

# A reload with another build of the module: nothing of the old build's is
# used by the new one, the zone of keys included.

use strict;
use warnings;

use File::Copy qw(copy);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::S3;

my $built = Test::S3::build() . '/ngx_http_s3_module.so';
plan skip_all => 'the module is part of the binary'
    if -x Test::S3::build() . '/nginx-bin' || !-e $built;

my $t = Test::S3->new()->run();

# The shared memory of the zone, as the kernel numbers it.
sub zone {
    open my $maps, '<', "/proc/$t->{pids}{nginx}/maps" or die "maps: $!";
    my @zones = map { m{ rw-s \S+ (\S+ \d+) +/dev/zero} ? $1 : () } <$maps>;
    return join ',', sort @zones;
}

sub reload {
    my @old = $t->workers();
    $t->reload_nginx();
    $t->wait_for_end_of(@old);
}

$t->put('/bkt');
is($t->put('/bkt/k', body => 'text')->{status}, 200, 'a key is in the zone');
my $zone = zone();
isnt($zone, '', 'there is a zone');

reload();
is(zone(), $zone, 'it outlives a reload');
is($t->get('/bkt/k')->{body}, 'text', 'and serves');

my $other = $t->dir() . '/other.so';
copy($built, $other) or die "copy: $!";
my $conf = $t->read_file('nginx.conf');
$conf =~ s/load_module \S+;/load_module $other;/ or die 'no load_module';
$t->write_file('nginx.conf', $conf);
reload();
isnt(zone(), $zone, 'another build has a zone of its own');
is($t->get('/bkt/k')->{body}, 'text', 'and serves');

$t->done();
