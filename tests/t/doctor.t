#!/usr/bin/perl

# s3ctl doctor on a machine that works, and on one on which something is wrong.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use Test::More;
use Test::S3;

my $t = Test::S3->new(s3d => 'events = { targets = ( { name = "away"; kind = "stream";
    redis = "unix:/nonexistent/redis.sock"; key = "k"; } ); };')->run();
my $dir = $t->dir();
my $s3ctl = $t->build() . '/s3ctl';

# The harness's nginx, whichever it is, is the one that is found.
symlink Test::S3::nginx_binary(), "$dir/nginx" or die;
$ENV{PATH} = "$dir:$ENV{PATH}";

# (exit status, {check => result}, {check => [what...]})
sub doctor {
    my @words = ($s3ctl, 'doctor', '--json', '-c', "$dir/s3d.conf", '--nginx-conf',
        "$dir/nginx.conf", @_);
    open my $p, '-|', @words or die;
    my $report = decode_json(do { local $/; <$p> });
    close $p;
    my %results = map { $_->{check} => $_->{result} } @{ $report->{checks} };
    my %findings = map {
        $_->{check} => [ map { $_->{what} } @{ $_->{findings} } ]
    } @{ $report->{checks} };
    my @without = grep { !$_->{mend} } map { @{ $_->{findings} } } @{ $report->{checks} };
    is(scalar(@without), 0, 'each finding says how to mend it');
    return ($? >> 8, \%results, \%findings);
}

# --- it works -------------------------------------------------------------------
is($t->put('/bkt')->{status}, 200, 'a bucket');
is($t->put('/bkt/key', body => 'x')->{status}, 200, 'an object');
my ($status, $results, $findings) = doctor();
my @unwell = grep { $results->{$_} ne 'ok' } qw(configuration keys secrets state
    extents s3d versions drives mirrors workers directories format clock nginx module
    locations uploads timeouts keepalive sendfile);
@unwell = grep { $_ ne 'clock' || $results->{$_} ne 'warning' } @unwell;
is("@unwell", '', 'what is right is ok')
    or diag explain { map { $_ => $findings->{$_} } @unwell };
is($results->{'worker user'}, 'warning', 'workers are root here');
is($results->{devices}, 'warning', 'and all drives on one disk');
ok((grep { /^drives 0 and 1 are on one disk/ } @{ $findings->{devices} }), 'which ones');

# --- something is wrong -----------------------------------------------------------
$t->wait_for('the target', sub {
    $t->ctl('events', 'status')->{events}[0]{state} eq 'retrying' });
chmod 0644, "$dir/master.key" or die;
rename "$dir/drive2", "$dir/gone" or die;
$t->write_file('nginx.conf', $t->nginx_conf()
    =~ s/keepalive 16;//r =~ s/s3_pass s3d;/s3_pass s3d; client_max_body_size 10m;/r);
($status, $results, $findings) = doctor();
is($status, 5, 'the exit status says that there are problems');
like($findings->{keys}[0], qr/may use \S+master\.key \(mode 0644\)/, 'a key for all');
like($findings->{directories}[0], qr/^drive 2, .*: No such file/, 'a drive is away');
like($findings->{events}[0], qr/target away:/, 'a Redis that is not there');
like($findings->{keepalive}[0], qr/connects to s3d anew/, 'no keepalive');
like($findings->{uploads}[0], qr/client_max_body_size 10m/, 'small bodies only');
rename "$dir/gone", "$dir/drive2" or die;
chmod 0600, "$dir/master.key" or die;

# --- for people -----------------------------------------------------------------
$t->write_file('nginx.conf', 'events {} http { s3_zone');
my $table = `$s3ctl doctor -c $dir/none.conf --nginx-conf $dir/nginx.conf -s $dir/none`;
is($? >> 8, 5, 'nothing is there');
like($table, qr/^CHECK +RESULT +WHAT\n/, 'a table');
like($table, qr/^configuration +problem +\S+none\.conf/m, 'no configuration');
like($table, qr/^ +mend +correct/m, 'what to do');
like($table, qr/^s3d +problem +s3d on \S+none: No such file/m, 'no s3d');
like($table, qr/^nginx +problem +\S+nginx\.conf:1: it ends in the middle/m, 'no nginx');
like($table, qr/^drives +skipped/m, 'what cannot be seen is skipped');
like($table, qr/^\d+ checks found problems, \d+ have warnings$/m, 'a sum');
is(system("$s3ctl doctor one more >/dev/null 2>&1") >> 8, 2, 'usage');

$t->done();
