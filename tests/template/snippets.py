"""Small templates for the comparison with jinja2: one construct each, (source, context)."""

DATA = {
    "a": 7, "b": -3, "f": 2.5, "s": "Hello, World", "u": "Ünïcödé ß 🎭", "pad": "  x y \n", "t": True, "n": None, "e": "",
    "xs": [3, 1, 2], "words": ["pear", "Apple", "fig", "apple"], "nested": [[1, 2], [3], []], "empty": [], "d": {"k": 1, "j": "v", "items": 5},
    "people": [{"name": "Ann", "age": 41, "tags": ["x"]}, {"name": "bob", "age": 7}, {"name": "Cid", "age": 41, "home": {"city": "Bern"}}],
    "big": 9007199254740993, "quote": "it's \"q\"", "lines": "one\n\ntwo\r\nthree\n", "num": "12", "real": "3.7e1", "mixed": [1, "1", 1.0, True, None],
}

EXPRESSIONS = r"""
1 + 2 * 3
(1 + 2) * 3
7 // 2
-7 // 2
7 % 3
-7 % 3
7 % -3
7 / 2
6 / 2
2 ** 10
2 ** -1
2 ** 3 ** 2
-2 ** 2
7.5 // 2
-7.5 % 2
1e16
1e15
1e-5
0.0001
1.0
0.1 + 0.2
123456789.123
1e300 * 1e300
1 / 3
100000000000000000000.0
1_000
0x1F
0b101
0o17
1.5e3
9223372036854775807
True + True
a - b
- a
+ a
- - a
a ~ b ~ f ~ t ~ n ~ undefined_name
'a' 'b' "c"
'\n\t\\\'\"'
"\x41\u00e9\U0001F3AD\101"
'\q'
"it's"
'a' + 'b'
'ab' * 3
3 * 'ab'
'ab' * -1
[1] + [2, 3]
[0] * 3
(1, 2) + (3,)
()
(1,)
1, 2
(1, 2)
[1, 'a', 2.0, none, true, [], {}, ()]
{'a': 1, "b": [1, 2], 3: 'x'}
{'a': 1, 'a': 2}
quote
[quote]
['it\'s']
['"']
['\n\t\x00\x7f\u200b\xa0é🎭\\']
1 == 1.0
1 == true
'1' == 1
none == none
[1, 2] == [1, 2]
[1] == (1,)
{'a': 1, 'b': 2} == {'b': 2, 'a': 1}
1 < 2 < 3
1 < 3 < 2
1 < 2 > 0
'a' < 'b'
[1, 2] < [1, 3]
'a' < 1
none < 1
1 != 2
not 1 == 2
not not 1
1 in [1, 2]
1 not in [1, 2]
'ell' in s
'k' in d
'x' not in d
1 in 's'
'' in ''
a in undefined_name
1 and 2
0 and 2
0 or 'x'
'' or none
none or 0 or []
1 if true
1 if false
1 if false else 2
1 if a > 5 else 2 if a > 3 else 3
'yes' if not empty else 'no'
undefined_name
undefined_name.x
undefined_name['x']
undefined_name + 1
1 + undefined_name
undefined_name == undefined_name
undefined_name == none
undefined_name()
d.k
d['k']
d.missing
d.missing.more
d['missing']
d.get('k')
d.get('z')
d.get('z', 9)
d.items is callable
-5|int
' -5 '|int
'--5'|int
'-0x1f'|int(base=16)
'+3'|int
people|map(attribute='home.city', default=none)|list|length
d['items']
d.items()|list
d.keys()|list
d.values()|list
d|items|list
d|length
xs[0]
xs[-1]
xs[9]
xs['0']
xs[true]
xs[1.0]
s[0]
s[-1]
u[-1]
s[99]
xs[1:]
xs[:-1]
xs[::-1]
xs[::2]
xs[-2:]
xs[5:]
xs[::0]
xs[none:2]
s[1:4]
u[::-1]
u[2:9:3]
s[-5:-1]
s[:]
xs[10:0:-1]
(1, 2, 3)[1:]
n.x
a.x
a[0]
n[0]
people[0].name
people[2].home.city
people[0].home.city
people.0.name
s.upper()
s.lower()
u.upper()
u.title()
'they\'re bill\'s'.title()
'hELLO wORLD'.capitalize()
pad.strip()
pad.lstrip()
pad.rstrip()
'xxabcxx'.strip('x')
'abcba'.strip('ab')
'abcba'.lstrip('ba')
'abcba'.rstrip('ba')
s.split()
s.split(',')
s.split('l', 1)
'a  b c'.split(' ')
'  a  b c '.split()
' a b c '.split(none, 1)
'a,b,c'.rsplit(',', 1)
' a b c '.rsplit(none, 1)
'abc'.split('')
lines.splitlines()
s.startswith('Hello')
s.endswith('d')
s.startswith(('x', 'H'))
s.replace('l', 'L')
s.replace('l', 'L', 1)
'abc'.replace('', '-')
', '.join(words)
', '.join(xs)
s.find('World')
s.find('zzz')
u.find('🎭')
s.count('l')
'abc'.isdigit()
'12'.isdigit()
'prefix-x'.removeprefix('prefix-')
'x.txt'.removesuffix('.txt')
s.nothing
s.nothing()
xs.append(4)
d.update({})
xs.count(1)
xs.index(2)
s|upper|lower
pad|trim
'xxaxx'|trim('x')
s|title
'foo-bar (baz) it\'s'|title
u|capitalize
s|length
u|length
xs|count
a|length
n|length
undefined_name|length
xs|join
xs|join(', ')
words|join('-')|upper
people|join(', ', attribute='name')
'abc'|join('.')
d|join(',')
undefined_name|join
s|replace('o', '0')
s|replace('l', '', 2)
12321|replace(2, 'x')
undefined_name|default('dflt')
n|default('dflt')
n|default('dflt', true)
e|d('x', boolean=true)
undefined_name|default
xs|first
xs|last
s|first
s|last
empty|first
empty|last
d|first
xs|list
'abc'|list
d|list
undefined_name|list
12|string
n|string
'12'|int
'12.7'|int
'x'|int
'x'|int(5)
'0x1F'|int(0, 16)
'ff'|int(base=16)
' 7 '|int
'1_0'|int
3.99|int
-3.99|int
n|int
true|int
'3.5'|float
'x'|float
'1e3'|float
num|int + 1
real|float
undefined_name|int
people|tojson
d|tojson
s|tojson
u|tojson
quote|tojson
[1.0, 1e20, none, true, 'é\n\x01\x7f/']|tojson
{1: 'a', none: 2, true: 3, 1.5: 4}|tojson
people|tojson(indent=2)
[]|tojson(indent=2)
{}|tojson(indent=4)
[[], {}, [1]]|tojson(2)
[[1]]|tojson(indent=2)
u|tojson(ensure_ascii=true)
{'b': 1, 'a': 2}|tojson(sort_keys=true)
[1, {'a': 2}]|tojson(separators=(',', ':'))
(1, 2)|tojson
undefined_name|tojson
'<b>&\'"'|tojson
people|selectattr('age', 'equalto', 41)|map(attribute='name')|list
people|selectattr('age', '==', 41)|list|length
people|selectattr('home')|list|length
people|selectattr('home', 'defined')|map(attribute='home.city')|join
people|rejectattr('home', 'defined')|map(attribute='name')|join(',')
people|selectattr('age', 'gt', 10)|list|length
people|map(attribute='home.city', default='?')|join(',')
people|map(attribute='tags.0')|list
people|map('length')|list
words|map('upper')|list
words|map('replace', 'p', 'P')|join(' ')
xs|select('odd')|list
xs|reject('odd')|list
mixed|select|list
mixed|reject('none')|list
xs|select('in', [1, 2])|list
xs|select('nope')|list
xs|sort
xs|sort(reverse=true)
words|sort
words|sort(case_sensitive=true)
people|sort(attribute='age')|map(attribute='name')|list
people|sort(attribute='age,name', reverse=true)|map(attribute='name')|list
mixed|sort
words|unique|list
words|unique(case_sensitive=true)|list
xs|reverse|list
s|reverse
d|dictsort
{'b': 1, 'A': 3, 'c': 2}|dictsort
{'b': 1, 'A': 3, 'c': 2}|dictsort(true)
{'b': 1, 'A': 3, 'c': 2}|dictsort(by='value', reverse=true)
s|safe
'<a>'|safe
'<a&"\'>'|e
lines|indent
lines|indent(2, true)
lines|indent(2, blank=true)
lines|indent('> ', true)
b|abs
-2.5|abs
f|round
3.5|round
2.675|round(2)
2.123|round(1, 'ceil')
2.19|round(1, 'floor')
a|round
xs|sum
people|sum(attribute='age')
xs|sum(start=10)
xs|min
xs|max
words|min
empty|max
people|max(attribute='age')|length
xs|selectattr('x')|list
s|nosuchfilter
a is defined
zz is defined
zz is undefined
zz is not defined
n is none
s is string
a is string
a is number
t is number
t is integer
a is integer
f is integer
f is float
t is boolean
d is mapping
xs is mapping
xs is iterable
s is iterable
a is iterable
xs is sequence
d is sequence
a is sequence
zz is iterable
t is true
a is true
false is false
n is false
a is odd
a is even
a is divisibleby 7
a is divisibleby(2)
a is eq 7
a is equalto(7)
a is sameas 7
n is sameas none
a is in [7, 8]
'a' is in 'abc'
a is gt 3
a is lt(3)
a is ge 7
a is ne 7
'ABC' is upper
'abc' is lower
'upper' is filter
'odd' is test
s is callable
s.upper is callable
a is nosuchtest
a is defined and b is defined
not a is defined
a is not none and a > 3
a is string or a is number
range(3)|list
range(1, 4)|list
range(10, 0, -3)|list
range(3)
range(0)|length
range(1, 10, 0)
range(200000)|length
range('x')
dict(a=1, b='x')
dict(d, k=9)
namespace(a=1).a
namespace(a=1).b
namespace({'q': 2}).q
raise_exception('no')
strftime_now('%d %b %Y')
strftime_now('%Y-%m-%d %H:%M:%S')
strftime_now('%-d %B, %A')
strftime_now is defined
lipsum_like is defined
a(1)
s()
big
big + 1
[big]|tojson
9223372036854775807 + 0
-a|abs
-(a|abs)
2 + 3|string
(2 + 3)|string ~ '!'
a | string | length
a if a else b | string
[a, b][0]
{'x': a}['x']
{'x': a}.x
{'x': a}.x is defined
(a, b) | join(',')
[1, 2,]
{'a': 1,}
'%s' is string
'a' 'b' ~ 'c'
words|map('first')|join
nested|map('sum')|list
nested|sum(start=[])
people|map(attribute='age')|sum
people|map(attribute='age')|unique|list|length
people|selectattr('tags')|first
(people|first).name
people|last|length
[[1, 'a'], [0, 'b']]|sort
1 if 0 else none
none ~ ''
true ~ false
[none, true]
1.0 ~ ''
-0.0
0.0 == -0.0
1 == 1 == 1
not a in xs
not (a in xs)
s[0] in 'HJ'
'a' not in 'abc' or true
"{{ not a tag }}"
"%}"
"""

BLOCKS = [
    "{% if a %}x{% endif %}", "{% if a %}\nx\n{% endif %}\ny", "  {% if a %}\n  x\n  {% endif %}\n  y", "x  {% if a %}  y{% endif %}  z",
    "{%- if a -%}\n x \n{%- endif -%}\n y", "a \n {%- if a %} b \n {%- endif %} c", "{% if a +%}\nx{% endif %}", "  {%+ if a %}x{% endif %}",
    "\n\n{{ a }}\n\n", "{{ a }}\n", "  {{ a }}  \n  {{ b }}", "  {{- a -}}  \n  {{- b -}}\n x", "{{-a-}}", "{{ a }}{{ b }}\n\n{{ f }}",
    "{# c #}\nx", "  {# c #}\n  x", "x {#- c -#} y", "x\n{#- c #}\ny", "x {# multi\nline #} y", "  {# c #} x", "{#+ c +#}\nx",
    "{% raw %}{{ a }}{% endraw %}", "{%- raw -%}  {{ a }} {%- endraw -%}  x", "  {% raw %}\n  {{ a }}\n  {% endraw %}\n y", "{% raw %}{% if %}{% endraw %}",
    "{% for x in xs %}{{ x }}{% endfor %}", "{% for x in xs %}\n  {{ x }}\n{% endfor %}\nend", "{% for x in xs -%}\n  {{ x }}\n{%- endfor %}\nend",
    "{%- for x in xs -%}\n  {{- x -}}\n{%- endfor -%}\nend", "\n  {% for x in xs %}\n    - {{ x }}\n  {% endfor %}\n",
    "{% for x in xs %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ loop.revindex0 }};{% endfor %}",
    "{% for x in xs %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }};{% endfor %}", "{% for x in xs %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}",
    "{% for x in xs %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for x in empty %}x{% else %}none{% endfor %}", "{% for x in xs %}x{% else %}none{% endfor %}",
    "{% for x in xs if x > 1 %}{{ loop.index }}:{{ x }} {% endfor %}", "{% for x in xs if x > 9 %}x{% else %}none{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }};{% endfor %}", "{% for k, v in d|dictsort %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in d|items %}{{ k }}={{ v }};{% endfor %}", "{% for a, b in [[1, 2], [3, 4]] %}{{ a + b }} {% endfor %}", "{% for a, b in [[1, 2, 3]] %}{{ a }}{% endfor %}",
    "{% for (a, b) in [[1, 2]] %}{{ a }}{% endfor %}", "{% for c in 'añb' %}[{{ c }}]{% endfor %}", "{% for x in n %}{% endfor %}", "{% for x in zz %}x{% endfor %}ok", "{% for x in 5 %}{% endfor %}",
    "{% for x in 1, 2, 3 %}{{ x }}{% endfor %}", "{% for x in range(3) %}{% for y in range(2) %}{{ loop.index }}{{ loop.depth }}{% endfor %}{{ loop.index }};{% endfor %}",
    "{% for x in xs %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "{% for x in xs %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}!",
    "{% for x in xs %}{% for y in xs %}{% if y == 1 %}{% break %}{% endif %}{{ y }}{% endfor %}|{% endfor %}", "{% for x in xs %}{% set q = x %}{% endfor %}{{ q }}",
    "{% set q = 1 %}{% for x in xs %}{{ q }}{% set q = x %}{{ q }};{% endfor %}{{ q }}", "{% set ns = namespace(q=0) %}{% for x in xs %}{% set ns.q = ns.q + x %}{% endfor %}{{ ns.q }}",
    "{% set ns = namespace() %}{% set ns.a = 1 %}{{ ns.a }}{{ ns.b }}", "{% set d.k = 1 %}", "{% set ns = namespace(x=[]) %}{% for x in xs %}{% set ns.x = ns.x + [x * 2] %}{% endfor %}{{ ns.x }}",
    "{% if a %}{% set q = 1 %}{% endif %}{{ q }}", "{% if not a %}{% set q = 1 %}{% endif %}{{ q }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a = 1, 2 %}{{ a }}", "{% set a, b = 'xy' %}{{ b }}", "{% set a, b = [1] %}",
    "{% set q %}hi {{ a }}{% endset %}[{{ q }}]", "{% set q | upper %}hi {{ s }}{% endset %}{{ q }}", "{% set q %}\n  x\n{% endset %}[{{ q }}]", "{% set q %}{% set r = 1 %}{% endset %}{{ r }}", "{% set q | trim | replace('x', 'y') %}  x {% endset %}[{{ q }}]",
    "{% macro m(x, y=2) %}{{ x }}-{{ y }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(y=4, x=5) }} {{ m() }}", "{% macro m(x) %}[{{ x }}]{% endmacro %}{{ m(1, 2) }}", "{% macro m(x) %}[{{ x }}]{% endmacro %}{{ m(z=1) }}",
    "{% macro m(x) %}\n  {{ x }}\n{% endmacro %}\n{{ m(1) }}.{{ m(2)|trim }}", "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "{% macro m(x, y=x) %}{{ y }}{% endmacro %}{{ m(1) }}",
    "{% set g = 1 %}{% macro m() %}{{ g }}{% endmacro %}{{ m() }}{% set g = 2 %}{{ m() }}", "{% macro m() %}{% set q = 1 %}{% endmacro %}{{ m() }}{{ q }}", "{% macro m() %}{{ a }}{% endmacro %}{% for a in xs %}{{ m() }}{% endfor %}",
    "{% for x in xs %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}", "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(xs)|length }}{{ m('a') ~ 'b' }}{{ m('') == '' }}", "{{ m() }}{% macro m() %}x{% endmacro %}", "{% macro m(x) %}{{ x is defined }}{% endmacro %}{{ m() }}{{ m(none) }}",
    "{% if a > 9 %}1{% elif a > 8 %}2{% elif a > 6 %}3{% else %}4{% endif %}", "{% if a > 9 %}1{% elif a > 8 %}2{% else %}4{% endif %}", "{% if zz %}1{% else %}2{% endif %}", "{% if zz.x %}1{% endif %}", "{% if d.zz is defined and d.zz %}1{% else %}0{% endif %}",
    "{% if e %}1{% endif %}{% if empty %}2{% endif %}{% if n %}3{% endif %}{% if {} %}4{% endif %}{% if 0.0 %}5{% endif %}{% if ' ' %}6{% endif %}{% if ns %}7{% endif %}", "{% if a, b %}x{% endif %}", "{% if xs|selectattr('q') %}always{% endif %}",
    "{% generation %}{{ a }}{% endgeneration %}", "  {% generation %}\n x\n  {% endgeneration %}\n", "{% set q = 1 %}{% generation %}{% set q = 2 %}{{ q }}{% endgeneration %}{{ q }}",
    "{% set it = xs|map('string') %}{{ it|join }}{{ it|join }}", "{% set it = xs|reverse %}{% for x in it %}{{ x }}{% endfor %}{% for x in it %}{{ x }}{% endfor %}", "{{ xs|map('string')|length }}", "{{ xs|map('string')|last }}",
    "{% set loop = 5 %}{{ loop }}{% for x in xs %}{{ loop.index }}{% endfor %}{{ loop }}", "{% for x in xs %}{% set outer = loop %}{% for y in xs %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}", "{% set range = 3 %}{{ range }}",
    "{{ raise_exception('Bad ' ~ a) }}", "{% if a %}{{ raise_exception('x') }}{% endif %}", "{{ '{{' }}{{ '}}' }}{{ '{%' }}", "{{ {'a': {'b': 1}}['a']['b'] }}", "{{ {'a': {}} }}", "{{{'a': 1}}}", "}} %} #}", "{ { x } }", "{", "{{", "{%", "{# x", "{{ }}", "{% %}", "{{ a", "{% if a %}", "{% endif %}", "{% else %}",
    "{% for x in xs %}", "{% for in xs %}{% endfor %}", "{% set %}", "{% set a = %}", "{% set 1 = 2 %}", "{% set true = 2 %}", "{{ a b }}", "{{ a. }}", "{{ a[ }}", "{{ (a }}", "{{ a) }}", "{{ [1, 2 }}", "{{ 'x }}", "{{ a | }}", "{{ a is }}", "{{ ! }}", "{{ a ? b : c }}", "{{ 1 + }}", "{{ * 2 }}", "{% break %}", "{% nosuch %}",
    "{% if a %}{% for x in xs %}{% endif %}{% endfor %}", "{% macro %}{% endmacro %}", "{% macro m(x=1, y) %}{% endmacro %}", "{{ m(a=1, 2) }}", "{{ f(x for x in y) }}", "{{ a is b is c }}", "{{ 08 }}", "{{ 1.x }}", "{{ 1..2 }}", "{{ a.1 }}", "{{ xs.0 }}{{ xs.2 }}", "{{ nested.0.1 }}",
    "line1\r\nline2\r{{ a }}\r\n", "{{ 'a\r\nb' }}", "{{ 'a\\\nb' }}", "\n", "", "\n\n", " \n", "{{ a }}\n\n\n", "é{{ a }}ü\n", "\t{% if a %}\t\n\tx\n\t{% endif %}\t\n", "\u00a0{% if a %}x{% endif %}", "x{{ a }}\n  {% if a %}\n  y{% endif %}", "{{ a }}  {% if a %}x{% endif %}\n", "{% if a %}  {% if b %}x{% endif %}{% endif %}", "{% if a %}\n  {% if b %}\n x\n  {% endif %}\n{% endif %}\nz",
    "{{ a -}} \n\n x", "{{ a }} \n\n {{- b }}", "{%- set x = 1 %}\n\n{%- set y = 2 %}\n\nz", "{%- set x = 1 -%}\n\n {{ x }}", "{% set x = '\\n' %}[{{ x }}]", "  {%- if a %}\n    {{- ' kept ' }}\n  {%- endif %}\n", "{% if a %}a{% endif -%}\n b {%- if a %} c{% endif %}", "{{ a}}{{b }}", "{{a~b}}", "{%if a%}x{%endif%}", "{%-if a-%} x {%-endif-%}",
]

SNIPPETS = [("{{ " + line + " }}", DATA) for line in EXPRESSIONS.strip("\n").split("\n")] + [(block, DATA) for block in BLOCKS]

# Every way to write white space control around a block, a comment and an expression.
for begin in ("", "-", "+"):
    for end in ("", "-", "+"):
        for before, after in (("", ""), (" ", " "), ("\n", "\n"), ("x\n  ", "\n  y"), ("x ", " y"), ("\n\n\t", "\t\n\n"), ("x\u00a0", "\u00a0y")):
            SNIPPETS.append((f"A{before}{{%{begin} if a {end}%}}{after}B{before}{{%{begin} endif {end}%}}{after}C", DATA))
            SNIPPETS.append((f"{before}{{#{begin} c {end}#}}{after}C", DATA))
            if end != "+":
                SNIPPETS.append((f"A{before}{{{{{begin} s {end}}}}}{after}C", DATA))
