# Identities through s3ctl: accounts, users, groups, roles, policies, keys and
# service accounts; what they may, over a restart; and no secret where it
# should not be.
use strict;
use warnings;
no warnings 'portable'; # addresses have 64 bits
use lib 'tests/t/lib';
use Test::More;
use Test::S3;

my $t = Test::S3->new();
$t->run();

sub refused {
    my ($r, $want, $name) = @_;
    my ($code) = $r->{body} =~ m{<Code>(\w+)</Code>};
    is("$r->{status} " . ($code // ''), $want, $name);
}

sub as { return (access_key => $_[0]{access_key}, secret_key => $_[0]{secret_key}) }

sub file {
    my ($name, $content) = @_;
    my $path = $t->dir . "/$name";
    open my $f, '>', $path or die "$path: $!";
    print $f $content;
    close $f;
    return $path;
}

sub allow {
    my ($action) = @_;
    return file('policy.json', '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
        . '"Action":"' . $action . '","Resource":"*"}]}');
}

sub fails { return !defined $t->ctl(@_) }

is($t->put('/bkt')->{status}, 200, 'a bucket');
is($t->put('/bkt/k', body => 'hello')->{status}, 200, 'an object');

# A user without rights, then with some.
my $alice = $t->ctl('user', 'add', 'alice', '--path', '/team/');
like($alice->{arn}, qr{^arn:aws:iam::\d{12}:user/team/alice$}, 'arn');
refused($t->get('/bkt/k', as($alice)), '403 AccessDenied', 'a new user may nothing');
$t->ctl('user', 'attach', 'alice', 'AmazonS3ReadOnlyAccess');
is($t->get('/bkt/k', as($alice))->{body}, 'hello', 'may read now');
refused($t->put('/bkt/new', as($alice), body => 'x'), '403 AccessDenied', 'may not write');
$t->ctl('user', 'put-policy', 'alice', 'write', allow('s3:PutObject'));
is($t->put('/bkt/new', as($alice), body => 'x')->{status}, 200, 'an inline policy');
is($t->ctl('user', 'show', 'alice')->{policies}{write}{Statement}[0]{Action}, 's3:PutObject',
    'is shown');
$t->ctl('user', 'delete-policy', 'alice', 'write');
refused($t->put('/bkt/new', as($alice), body => 'x'), '403 AccessDenied', 'is gone');

# Through a group, and a managed policy that changes.
$t->ctl('user', 'detach', 'alice', 'AmazonS3ReadOnlyAccess');
refused($t->get('/bkt/k', as($alice)), '403 AccessDenied', 'detached');
$t->ctl('group', 'add', 'staff');
$t->ctl('policy', 'add', 'reading', allow('s3:GetObject'));
$t->ctl('group', 'attach', 'staff', 'reading');
$t->ctl('user', 'join', 'alice', 'staff');
is($t->get('/bkt/k', as($alice))->{status}, 200, 'the group may');
ok(fails('policy', 'delete', 'reading'), 'an attached policy stays');
ok(fails('group', 'delete', 'staff'), 'a group with members stays');
ok(fails('policy', 'update', 'reading', file('bad.json', '{"Version":"1"}')), 'malformed');
$t->ctl('policy', 'update', 'reading', allow('s3:ListBucket'));
refused($t->get('/bkt/k', as($alice)), '403 AccessDenied', 'the policy changed');
is($t->get('/bkt', as($alice))->{status}, 200, 'and says something else');

# A service account may less than its user.
$t->ctl('policy', 'update', 'reading', allow('s3:*'));
my $robot = $t->ctl('service-account', 'add', 'alice', '--policy-file', allow('s3:GetObject'),
    '--description', 'nightly');
is($t->get('/bkt/k', as($robot))->{status}, 200, 'within its policy');
refused($t->put('/bkt/robot', as($robot), body => 'x'), '403 AccessDenied', 'not beyond');
is($t->ctl('service-account', 'list', 'alice')->{list}[0]{description}, 'nightly', 'listed');

# Keys.
my $second = $t->ctl('key', 'add', 'alice');
is($t->get('/bkt/k', as($second))->{status}, 200, 'a second key');
$t->ctl('key', 'disable', $second->{access_key});
refused($t->get('/bkt/k', as($second)), '403 InvalidAccessKeyId', 'disabled');
ok(fails('key', 'disable', $t->{access_key}), 'the last key of the operator stays');
ok(fails('key', 'delete', $t->{access_key}), 'it cannot be deleted');
ok(fails('account', 'delete', 'root'), 'nor can the operator');

# Another account knows nothing of it.
my $other = $t->ctl('account', 'add', 'other');
refused($t->get('/bkt/k', as($other)), '403 AccessDenied', 'another account');
my $bob = $t->ctl('user', 'add', 'bob', '--account', 'other');
$t->ctl('user', 'attach', 'bob', 'AdministratorAccess', '--account', 'other');
refused($t->get('/bkt/k', as($bob)), '403 AccessDenied', 'its administrator neither');
is($t->put('/theirs', as($bob))->{status}, 200, 'what he makes');
is($t->get('/theirs', as($other))->{status}, 200, 'is his account\'s');
ok(fails('account', 'delete', 'other'), 'an account with users stays');
my $trust = file('trust.json', '{"Version":"2012-10-17","Statement":[{"Effect":"Allow",'
    . '"Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}');
ok($t->ctl('role', 'add', 'reader', $trust), 'a role');
is($t->ctl('role', 'show', 'reader')->{trust}{Statement}[0]{Action}, 'sts:AssumeRole', 'its trust');

# Another master key, then a restart.
my $path = $t->dir . '/master.key';
my $before = -e $path ? $t->read_file('master.key') : undef;
ok($t->ctl('master-key', 'rotate'), 'another master key');
isnt($t->read_file('master.key'), $before, 'is in the file') if defined $before;
is($t->get('/bkt/k', as($alice))->{status}, 200, 'keys work on');

# Nothing in the clear: logs, metadata, memory.
sub memory_holds {
    my ($pid, $secret) = @_;
    open(my $maps, "<", "/proc/$pid/maps") or return -1;
    open(my $mem, "<:raw", "/proc/$pid/mem") or return -1;
    my $found = 0;
    while (my $line = <$maps>) {
        my ($from, $to, $mode) = $line =~ /^(\w+)-(\w+) (\S+)/ or next;
        next if $mode !~ /^rw/ || $line =~ /\[v/;
        my ($at, $end, $rest) = (hex $from, hex $to, '');
        next if $end - $at > 1 << 32; # the shadow of a sanitizer
        while ($at < $end) {
            my $want = $end - $at < 1 << 20 ? $end - $at : 1 << 20;
            sysseek $mem, $at, 0;
            my $n = sysread($mem, my $bytes, $want);
            last if !$n;
            $found++ if index($rest . $bytes, $secret) >= 0;
            $rest = substr $bytes, -64;
            $at += $n;
        }
    }
    return $found;
}

my $imported = 'IMPORTED/secret/of/forty/characters/1234';
$t->ctl('key', 'add', 'alice', '--access-key', 'AKIAIMPORTED00000001', '--secret-key-file',
    file('secret', "$imported\n"));
unlink $t->dir . '/secret';
is($t->get('/bkt/k', access_key => 'AKIAIMPORTED00000001', secret_key => $imported)->{status}, 200,
    'an imported key');
my %secrets = (root => $t->{secret_key}, alice => $alice->{secret_key},
    robot => $robot->{secret_key}, imported => $imported);
for my $who (sort keys %secrets) {
    my $secret = $secrets{$who};
    is(memory_holds($t->{pids}{s3d}, $secret), 0, "memory: $who");
    is(system('grep', '-rqaF', '--', $secret, $t->dir) >> 8, 1, "files: $who");
}
is(memory_holds($t->{pids}{s3d}, substr $alice->{access_key}, 0, 20) > 0, 1,
    'what is there is found');

open my $proc, '<', "/proc/$t->{pids}{s3d}/limits" or die "limits: $!";
my $limits = join '', <$proc>;
close $proc;
like($limits, qr/^Max core file size\s+0\s+0/m, 'no core files');

$t->stop('s3d');
$t->start_s3d();
is($t->get('/bkt/k', as($alice))->{status}, 200, 'a restart keeps users');
refused($t->put('/bkt/robot', as($robot), body => 'x'), '403 AccessDenied', 'and limits');

$t->done();
