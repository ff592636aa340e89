#!/usr/bin/perl

# s3ctl as a program among others: every command has help of its own and speaks
# JSON, exit codes are the documented ones, what comes from elsewhere steers no
# terminal, and what is wrong with the socket or the output is said.

use strict;
use warnings;

use FindBin;
use IO::Socket::UNIX;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use POSIX ();
use Test::Frames qw(bytes frame message number read_frame);
use Test::More;
use Test::S3;

delete @ENV{ grep { /^AWS_/ } keys %ENV };
my $t = Test::S3->new(drives => 3)->run();
my $dir = $t->dir();
my $s3ctl = $t->build() . '/s3ctl';
$ENV{S3D_ADMIN_SOCKET} = "$dir/admin.sock";
$ENV{HOME} = $dir;

# ($code, $stdout, $stderr) of a command line for the shell.
sub run {
    my ($words) = @_;
    my $out = `$s3ctl $words 2>$dir/stderr </dev/null`;
    return ($? >> 8, $out, $t->read_file('stderr'));
}

# --- every command -----------------------------------------------------------------
my $policy = $t->write_file('policy.json',
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}');
my $trust = $t->write_file('trust.json',
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}');
my $purge = $t->write_file('purge.conf', 'nothing');
mkdir "$dir/backup";
is($t->put('/bkt')->{status}, 200, 'a bucket');

# What follows the words, and the exit code if it is not 0; in an order in which
# there is what they ask for. What must not be done to a running s3d is refused.
my @walk = (
    [ 'account add', 'other' ], [ 'account list' ], [ 'account show', 'other' ],
    [ 'account block', 'other all' ], [ 'account delete', 'other' ],
    [ 'user add', 'bob' ], [ 'user list' ], [ 'user show', 'bob' ],
    [ 'group add', 'team' ], [ 'group list' ], [ 'user join', 'bob team' ],
    [ 'group show', 'team' ], [ 'user leave', 'bob team' ],
    [ 'policy add', "rule $policy" ], [ 'policy list' ], [ 'policy show', 'rule' ],
    [ 'policy update', "rule $policy" ], [ 'policy simulate', 'anonymous s3:GetObject arn:aws:s3:::bkt/x' ],
    [ 'role add', "work $trust" ], [ 'role list' ], [ 'role show', 'work' ],
    [ 'role trust', "work $trust" ],
    (map { my $who = $_->[0]; map { [ "$who $_->[0]", "$_->[1]" ] } (
        [ 'attach', "$_->[1] rule" ], [ 'detach', "$_->[1] rule" ],
        [ 'put-policy', "$_->[1] own $policy" ], [ 'delete-policy', "$_->[1] own" ]) }
        [ user => 'bob' ], [ group => 'team' ], [ role => 'work' ]),
    [ 'policy delete', 'rule' ], [ 'role delete', 'work' ], [ 'group delete', 'team' ],
    [ 'key add', 'bob --access-key AKIATESTKEY1 --secret-key-file '
        . $t->write_file('secret', "0123456789abcdef0123456789abcdef01234567\n") ],
    [ 'key list', 'bob' ], [ 'key disable', 'AKIATESTKEY1' ], [ 'key enable', 'AKIATESTKEY1' ],
    [ 'key rotate', 'AKIATESTKEY1' ], [ 'key delete', 'AKIATESTKEY1' ],
    [ 'service-account add', 'bob' ], [ 'service-account list', 'bob' ],
    [ 'service-account policy', "none $policy", 1 ], [ 'service-account delete', 'none', 1 ],
    [ 'user delete', 'bob' ], [ 'master-key rotate' ],
    [ 'kms key add', 'photos' ], [ 'kms key list' ], [ 'kms key disable', 'photos' ],
    [ 'kms key enable', 'photos' ], [ 'kms key rotate', 'photos' ],
    [ 'kms rewrap' ], [ 'kms rewrap status' ], [ 'bucket list' ], [ 'bucket show', 'bkt' ],
    [ 'uploads list' ], [ 'uploads abort', '--older-than 1d' ],
    [ 'heal start' ], [ 'heal status' ], [ 'heal' ], [ 'scrub start' ], [ 'scrub stop' ],
    [ 'scrub status' ], [ 'durability' ], [ 'reclaim start' ], [ 'reclaim status' ],
    [ 'events status' ], [ 'rebalance start' ], [ 'rebalance stop' ], [ 'rebalance status' ],
    [ 'events tail' ], [ 'backup accept', '', 1 ],
    [ 'quota set', 'bkt --bytes 1G' ], [ 'quota show' ], [ 'quota remove', 'bkt' ],
    [ 'usage verify' ], [ 'usage repair' ], [ 'usage' ],
    [ 'drive list' ], [ 'drive replace', '0' ], [ 'drive drain', '0' ], [ 'drive use', '0' ],
    [ 'drive remove', '9', 1 ], [ 'status' ], [ 'top', '--once' ], [ 'trace', '0000', 1 ],
    [ 'bench drives', '--count 1 --size 4K' ], [ 'bench', '--count 1', 2 ],
    [ 'doctor', "-c $dir/s3d.conf", 5 ], [ 'completion bash' ], [ 'completion zsh' ],
    [ 'rebuild' ], [ 'restore' ],
    [ 'backup create', "$dir/backup" ], [ 'backup journal', "$dir/backup" ],
    [ 'backup verify' ],
    [ 'import', "$dir/backup s3://bkt", 2 ], [ 'export', "s3://bkt $dir/backup", 2 ],
    [ 'migrate', 's3://bkt s3://bkt', 2 ], [ 'purge', "--test -c $purge", 2 ],
);
my %walked = map { $_->[0] => 1 } @walk;
my ($table) = `$s3ctl completion bash` =~ /^_s3ctl_commands='(.*?)'$/ms;
my %commands = map { split /\|/ } split /\n/, $table;
is(join(', ', grep { !$walked{$_} } sort keys %commands), '', 'all commands are walked through');
# These follow something, print a script, or become s3d, which runs already.
my %special = map { $_ => 1 } 'events tail', 'completion bash', 'completion zsh', 'rebuild',
    'restore', 'backup verify';
my %helped;
for my $step (@walk) {
    my ($words, $arguments, $expected) = @$step;
    my ($first, @rest) = split / /, $words;
    my ($code, $out, $error);
    if (!$helped{$first}++) {
        ($code, $out, $error) = run("$words --help");
        ok($code == 0 && $error eq '' && $out =~ /^ +(?:s3ctl )?\Q$words\E(?: |$)|^usage: s3ctl \Q$words\E /m
                && $out !~ /^  (?!\Q$first\E)[a-z]/m,
            "$words --help is of that alone") or diag($out);
    }
    next if $special{$words};
    ($code, $out, $error) = run(join ' ', $first, '--json', @rest, $arguments // '');
    is($code, $expected // 0, "$words: exit code") or diag($error);
    my $json = eval { decode_json($out) };
    ok($code == 2 ? $out eq '' || $json : ref $json eq 'HASH', "$words --json") or diag($out);
    ok($code == 0 || $code == 5 ? $error eq '' : $error =~ /./, "$words: says why, and only then")
        or diag($error);
}

# --- exit codes, as docs/s3ctl.md has them ---------------------------------------------
is((run('status'))[0], 0, 'done');
is((run('user show nobody'))[0], 1, 'refused');
is((run($_))[0], 2, "usage: s3ctl $_") for '', 'nothing', 'user', 'user add', 'user add a b',
    'status more', 'user add bob --size 1', '--account', 'status --no-such', 'import --no-such';
my ($code, $out, $error) = run('nothing at all');
is($error, "usage: s3ctl [-s SOCKET] [--json] COMMAND\n"
        . "s3ctl: no such command: nothing; s3ctl --help shows all\n", 'a command that is not');
($code, $out, $error) = run('user add');
like($error, qr/^usage: s3ctl.*\n  user add NAME /, 'one that is');
unlike($error, qr/^  user list/m, 'that one only');
is($out, '', 'nothing of it on stdout');
for my $before ('', '--json', '--help', "-s $dir/none", "--socket=$dir/none --json") {
    for my $words (qw(import export migrate)) {
        ($code, $out, $error) = run("$before $words --help");
        is("$code $error", '0 ', "$before $words");
        like($out, qr/^ +--from-profile NAME/m, 'shows its own options');
        ($code, $out, $error) = run("$before $words --part-size 1M a b");
        like("$code $error", $before eq '--help' ? qr/^0 $/ : qr/^2 s3ctl: /,
            'and takes them');
    }
}
($code, $out, $error) = run('--endpoint http://h migrate s3://a s3://b');
is("$code $error", "2 s3ctl: options of migrate come after it: s3ctl migrate --help\n",
    'its options are not lost where they stand before it');
($code, $out) = run("doctor --json -c $dir/s3d.conf");
is($code, decode_json($out)->{problems} > 0 ? 5 : 0, 'something to mend');

# --- results as s3d may have them, which is played ---------------------------------------
# The outcome of a command that is answered so, each time that it asks; what it
# asks with is in @asked.
my @asked;
sub played {
    my ($words, @results) = @_;
    unlink "$dir/played.sock";
    my $listener = IO::Socket::UNIX->new(Local => "$dir/played.sock", Listen => 1) or die;
    my $pid = open(my $asked, '-|') // die;
    if (!$pid) {
        for my $result (@results) {
            my $s3ctl = $listener->accept();
            my (undef, $request) = read_frame($s3ctl);
            syswrite STDOUT, message($request)->{2} . "\n";
            my $ok = exists $result->{error} ? 0 : 1;
            syswrite $s3ctl, frame(31, number(1, $ok) . bytes(2, encode_json($result)));
        }
        POSIX::_exit(0);
    }
    my @outcome = run("-s $dir/played.sock $words");
    kill 'KILL', $pid;
    @asked = map { decode_json($_) } <$asked>;
    close $asked;
    return @outcome;
}

my $different = { name => 'bkt', recorded => { bytes => 5, objects => 1 },
    counted => { bytes => 7, objects => 2 } };
my $different_line = "DIFFERENT: bkt has 7 bytes in 2 objects, recorded were 5 in 1\n";
is_deeply([ played('usage verify', { buckets => 1, differences => [$different],
        repaired => JSON::PP::false, problem => JSON::PP::true }) ],
    [ 5, "1 buckets were counted\n${different_line}s3ctl usage repair puts the records right\n", '' ],
    'usage that is wrong is something to mend');
is_deeply([ played('usage repair', { buckets => 1, differences => [$different],
        repaired => JSON::PP::true, problem => JSON::PP::false }) ],
    [ 0, "1 buckets were counted\n${different_line}the records were put right\n", '' ],
    'it is mended');
my $more = "There are more: --prefix or --account shows some of them.\n";
for my $words ('bucket list', 'usage') {
    ($code, $out) = played($words, { buckets => [ { name => 'b' } ], truncated => JSON::PP::true });
    like($out, qr/^BUCKET .*\nb .*\n\Q$more\E\z/, "$words: that is not all");
    ($code, $out) = played($words, { buckets => [ { name => 'b' } ], truncated => JSON::PP::false });
    unlike($out, qr/There are more/, "$words: that is all");
}

# Answers in steps.
my @step = map { { dry_run => JSON::PP::false, uploads => 1000, parts => $_, bytes => 1 << 20,
        damaged => 0, next => { bucket => 'b', key => "k$_", upload_id => 'i' } } } 1, 2;
is_deeply([ played('uploads abort --older-than 2w', @step,
        { dry_run => JSON::PP::false, uploads => 7, parts => 1, bytes => 1 << 20, damaged => 1 }) ],
    [ 0, "2007 uploads with 4 parts, 3.0 MiB, were aborted\n"
        . "DAMAGED: 1 could not be read, and stay as they are\n", '' ], 'steps are one answer');
is_deeply(\@asked, [ map { { older_than_s => 14 * 86400, @$_ } } [], [ from => $step[0]{next} ],
    [ from => $step[1]{next} ] ], 'each goes on where the last one ended');
($code, $out, $error) = played('--json uploads abort --older-than 2w', $step[0],
    { error => 'out of order' });
is("$code $error", "1 s3ctl: out of order\n", 'one of them fails');
is(decode_json($out)->{uploads}, 1000, 'what was done before is told');
my %page = (damaged => 0, truncated => JSON::PP::true, next => $step[0]{next},
    uploads => [ (1) x 25000 ]);
($code, $out) = played('--json uploads list', \%page, \%page);
is($code, 0, 'a long list');
my $list = decode_json($out);
is(@{ $list->{uploads} }, 50000, 'ends');
is_deeply([ map { exists $list->{$_} ? "$list->{$_}" : () } qw(truncated next) ], [1],
    'and says so');
($code, $out) = played('uploads list', { %page, uploads => [ { key => 'k' } ] },
    { damaged => 0, truncated => JSON::PP::true, uploads => [ { key => 'l' } ] });
like($out, qr/^BUCKET .*\n.* k\n.* l\nThere are more: a BUCKET or --older-than shows some of them\.\n\z/,
    'as in a table');

# --- buckets -------------------------------------------------------------------------------
my $team = $t->ctl(qw(account add team)) or die;
my @as_team = (access_key => $team->{access_key}, secret_key => $team->{secret_key});
is($t->put('/bkt-of-team', @as_team)->{status}, 200, 'a bucket of another account');
is($t->put('/bkt-of-team/key', @as_team, body => 'x' x 1048)->{status}, 200, 'an object');
$t->put('/bkt?versioning', body => '<VersioningConfiguration><Status>Enabled'
    . '</Status></VersioningConfiguration>');
is($t->put('/another')->{status}, 200, 'a bucket of another name');

# "name account versioning bytes objects" of each that is listed.
sub listed {
    return [ map { my $bucket = $_; join ' ', map { $bucket->{$_} } qw(name account versioning bytes objects) }
        @{ $t->ctl(qw(bucket list), @_)->{buckets} } ];
}
my %bucket = (another => 'another root off 0 0', bkt => 'bkt root enabled 0 0',
    'bkt-of-team' => 'bkt-of-team team off 1048 1');
is_deeply(listed(), [ @bucket{qw(another bkt bkt-of-team)} ], 'all buckets');
ok(!$t->ctl(qw(bucket list))->{truncated}, 'as it says');
is_deeply(listed(qw(--prefix bkt)), [ @bucket{qw(bkt bkt-of-team)} ], 'those with a prefix');
is_deeply(listed(qw(--account root)), [ @bucket{qw(another bkt)} ], 'of an account');
is_deeply(listed(qw(--account root --prefix b)), [ $bucket{bkt} ], 'both');
is_deeply(listed(qw(--prefix none)), [], 'none');
is((run('bucket list --bucket bkt'))[0], 2, 'not of one bucket');
($code, $out) = run('bucket list --prefix bkt-of-team');
like($out, qr/^BUCKET .* VERSIONING\nbkt-of-team +team +1 +1\.0 KiB  20\d\d-[-\d]+ [:\d]+ +off\n\z/,
    'a table');

my @first = qw(ownershipControls publicAccessBlock);
is_deeply($t->ctl(qw(bucket show bkt-of-team))->{settings}, \@first, 'what every bucket has');
ok($t->ctl(qw(quota set bkt-of-team --bytes 1G)), 'a setting');
my $shown = $t->ctl(qw(bucket show bkt-of-team));
is_deeply($shown->{settings}, [ @first, 'quota' ], 'is shown');
is(join(' ', map { $shown->{$_} } qw(name account region versioning bytes objects)),
    'bkt-of-team team us-east-1 off 1048 1', 'with the rest');
is($shown->{owner}, $team->{id}, 'and who owns it');
($code, $out, $error) = run('bucket show none');
is("$code $error", "1 s3ctl: no such bucket\n", 'there is none');

# --- the socket --------------------------------------------------------------------------
for my $case ([ "$dir/none.sock", 'there is no such socket: s3d does not run, ' ],
    [ "$dir/s3d.conf", 'it does not run: systemctl start s3d' ]) {
    my ($code, $out, $error) = run("-s $case->[0] status");
    is($code, 3, 'no answer');
    like($error, qr/^s3ctl: s3d on \Q$case->[0]\E: \Q$case->[1]\E.*\n\z/, 'and what is to be done');
}
SKIP: {
    skip 'not root', 2 if $> != 0;
    chmod 0755, $dir;
    my $out = `setpriv --reuid=65534 --clear-groups $s3ctl status 2>&1`;
    is($? >> 8, 3, 'not allowed');
    like($out, qr/: not allowed: only s3d's user and root may administrate it: sudo s3ctl$/, 'why');
}

# --- the output ----------------------------------------------------------------------------
is(`{ $s3ctl user list 2>&1 >&3 | cat; } 3>/dev/full`, "s3ctl: stdout: No space left on device\n",
    'a full disk is said');
is(`bash -c 'set -o pipefail; $s3ctl --help 2>&1 >&3 | cat' 3>&1 | head -1`,
    "usage: s3ctl [-s SOCKET] [--json] COMMAND\n", 'a pipe that is closed is no matter');

# --- names from elsewhere --------------------------------------------------------------------
$t->put('/bkt/' . Test::S3::uri_escape("a\x1b]0;x\x07\xc2\x9b31m\x{7f}b"), body => '1');
my $socket = IO::Socket::INET->new(PeerAddr => $t->host()) or die;
print $socket $t->compose('PUT', '/bkt/' . Test::S3::uri_escape("\x1b[31m\xe6\x97\xa5\xe2\x80\xae"),
    no_length => 1, sha256 => 'UNSIGNED-PAYLOAD', headers => [ [ 'Content-Length' => 1000 ] ]);
$socket->flush();
$t->wait_for('it is under way', sub { ($code, $out) = run('top --once'); $out =~ m{bkt/.} });
like($out, qr{  bkt/\?\[31m\xe6\x97\xa5\?$}m, 'a key reaches the terminal without what steers it');
close $socket;
my $id = $t->put('/bkt/' . Test::S3::uri_escape("\x1b[2Jx"), body => '1')->{headers}{'x-amz-request-id'};
$t->wait_for('it has ended', sub { ($code, $out) = run("trace $id"); $code == 0 });
like($out, qr{^operation    PutObject bkt/\?\[2Jx$}m, 'nor in a trace');
run("role add odd $trust --description '\xe6\x97\xa5\xe6\x9c\xac\x0d\x0a\xc2\x9bx'");
run("service-account add --description '\xe6\x97\xa5\x09\xc2\x9by'");
($code, $out) = run('service-account list');
like($out, qr/^KEY +ENABLED  USER    DESCRIPTION\n\w+ +yes      \(root\)  \xe6\x97\xa5\?\?y$/m,
    'a table, in which columns are as wide as their text');

# In a terminal of its own: script(1) gives it one.
SKIP: {
    skip 'no script(1)', 1 if system('command -v script >/dev/null') != 0;
    my $shown = `script -qec '$s3ctl role show odd --json' /dev/null </dev/null`;
    $shown =~ s/\r//g;
    ok($shown =~ /"description": "\\u65e5\\u672c\\r\\n\\u009bx"/i, 'JSON on a terminal is ASCII') or diag($shown);
}

# --- answers of several frames ------------------------------------------------------------
my $tabs = "\x09" x 1000;
$t->query('iam', [ Action => 'CreatePolicy', Version => '2010-05-08', PolicyName => "many-$_",
    Description => $tabs, PolicyDocument => $t->read_file('policy.json') ]) for 100 .. 239;
($code, $out) = run('policy list --json');
is($code, 0, 'a long answer');
is(scalar(grep { $_->{name} =~ /^many-\d{3}$/ && $_->{description} eq $tabs }
        @{ decode_json($out)->{list} }), 140, 'whole');

$t->done();
