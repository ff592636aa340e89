#!/usr/bin/perl

# The completion for bash, and for zsh where there is one: every command that
# --help names is completed word by word, and every option that it takes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp;
use Test::More;
use Test::S3;

my $s3ctl = Test::S3::build() . '/s3ctl';
my $help = `$s3ctl --help`;
my @commands = map { /^  ([a-z][a-z -]*?)(?: (?:[A-Z\[]|s3:).*?)?(?:  |$)/ ? $1 : () }
    grep { !/^  +-/ } split /\n/, $help =~ s/\n\n.*//sr;
cmp_ok(scalar(@commands), '>', 70, 'commands');
my %next;
for (@commands) {
    my @words = split / /;
    $next{ join ' ', @words[0 .. $_ - 1] }{ $words[$_] } = 1 for 0 .. $#words;
}

my $dir = File::Temp->newdir();
for my $name ('a file', 'another') {
    open my $file, '>', "$dir/$name" or die;
}

# $complete: what the shell does with the words of COMP_WORDS; prints the choices.
sub check {
    my ($shell, $command, $complete) = @_;
    my $script = File::Temp->new();
    print $script `$s3ctl completion $shell`;
    my $ask = sub {
        my (@words) = @_;
        printf $script "COMP_WORDS=(s3ctl %s); COMP_CWORD=%d; %s\n",
            join(' ', map { "'$_'" } @words), scalar @words, $complete;
    };
    my @places = sort keys %next;
    $ask->(split(/ /), '') for @places;
    $ask->(qw(user add bob --a));
    $ask->(qw(--socket /x user add --path /y/ bob --pa));
    $ask->(qw(import --j));
    $ask->('--js');
    $ask->(qw(--account), '');
    $ask->(qw(user add --policy));
    $ask->('--socket', "$dir/a");
    $ask->('import', "$dir/a ");
    close $script;
    my @got = split /\n/, `$command $script`, -1;
    is($? >> 8, 0, "$shell takes the script");
    for my $place (@places) {
        my %choices = map { $_ => 1 } split / /, shift @got;
        is(join(' ', grep { !$choices{$_} } sort keys %{ $next{$place} }), '',
            "$shell: after s3ctl $place");
    }
    is(shift @got, '--access-key --account', 'options of a command');
    is(shift @got, '--path', 'values of options are no words of a command');
    is(shift @got, '--jobs --json', 'a command with options of its own');
    is(shift @got, '--json', 'options of all commands');
    is(shift @got, '', 'a value that is no file');
    is(shift @got, '', 'options of other commands are not there');
    is(shift @got, "$dir/a file $dir/another", 'a value that is a file');
    is(shift @got, "$dir/a file", 'an argument that is one');
}

check('bash', 'bash --norc', '_s3ctl; echo "${COMPREPLY[*]}"');
SKIP: {
    skip 'no zsh', 1 if system('command -v zsh >/dev/null') != 0;
    # As its bashcompinit calls the function; what begins otherwise is left out after it.
    check('zsh', 'HOME=/nonexistent zsh -f', 'setopt ksharrays;'
            . 'PREFIX=${COMP_WORDS[COMP_CWORD]}; _s3ctl; echo "${(M)COMPREPLY[@]:#$PREFIX*}"');
}
is(system("$s3ctl completion fish 2>/dev/null") >> 8, 2, 'another shell');

done_testing();
