{#-
    Keys that two records of one company share however they were typed: full-width forms, blanks, brackets, legal
    forms and capitals do not matter. A key that cannot tell companies apart is null.
-#}

{#- Full-width forms of all ASCII characters, and the ideographic blank, to their plain forms. -#}
{% macro plain_width(column) -%}
    {%- set wide = [] -%}
    {%- set plain = [] -%}
    {%- for code in range(33, 127) if code not in (39, 92) -%}
        {%- do wide.append('%c' | format(code + 65248)) -%}
        {%- do plain.append('%c' | format(code)) -%}
    {%- endfor -%}
    translate({{ column }}, '{{ wide | join }}　', '{{ plain | join }} ')
{%- endmacro %}

{#- All matches of a pattern replaced. -#}
{% macro replace_pattern(expression, pattern, replacement) -%}
    {{ return(adapter.dispatch('replace_pattern', 'customer_tiering')(expression, pattern, replacement)) }}
{%- endmacro %}

{% macro default__replace_pattern(expression, pattern, replacement) -%}
    regexp_replace({{ expression }}, '{{ pattern }}', '{{ replacement }}', 'g')
{%- endmacro %}

{#- Everything between digits and small letters in ASCII is punctuation here.
    　苏州晨达机械（集团）有限责任公司 and 苏州晨达机械(集团)有限公司 -> 苏州晨达机械集团; Foo Bar Co., Ltd. -> foobar. -#}
{% macro company_name_key(column) -%}
    {%- set latin_form = '[ ,.]+(co[ .,]*ltd|company limited|company|ltd|limited|inc|llc|gmbh|corp|corporation|plc)[ .]*$' -%}
    {%- set chinese_form = '(股份有限责任公司|股份有限公司|有限责任公司|有限公司|股份公司|公司)$' -%}
    {%- set plain = 'lower(trim(' ~ customer_tiering.plain_width(column) ~ '))' -%}
    {%- set without_latin_form = customer_tiering.replace_pattern(plain, latin_form, '') -%}
    {%- set letters = customer_tiering.replace_pattern(without_latin_form, '[ -/:-`{-~·。、]', '') -%}
    nullif({{ customer_tiering.replace_pattern(letters, chinese_form, '') }}, '')
{%- endmacro %}

{#-
    Capital letters and digits of a tax id; null when it is too short, one character repeated, or a Chinese unified
    social credit code whose check character (GB 32100) is wrong: a mistyped id would tell a company from itself.
-#}
{% macro tax_id_key(column) -%}
    {%- set plain = customer_tiering.replace_pattern('upper(' ~ customer_tiering.plain_width(column) ~ ')', '[^0-9A-Z]', '') -%}
    {%- set characters = '0123456789ABCDEFGHJKLMNPQRTUWXY' -%}
    {%- set weights = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28] -%}
    case
        when length({{ plain }}) < 8 or replace({{ plain }}, left({{ plain }}, 1), '') = '' then null
        when
            length({{ plain }}) = 18
            and (
                31 - (
                    {%- for weight in weights %}
                    {{ '+ ' if not loop.first }}{{ weight }} * (instr('{{ characters }}', substr({{ plain }}, {{ loop.index }}, 1)) - 1)
                    {%- endfor %}
                ) % 31
            ) % 31 <> instr('{{ characters }}', right({{ plain }}, 1)) - 1
            then null
        else {{ plain }}
    end
{%- endmacro %}

{#- Small letters, plain forms, no blanks; null unless it looks like an address. -#}
{% macro email_key(column) -%}
    {%- set plain = customer_tiering.replace_pattern('lower(' ~ customer_tiering.plain_width(column) ~ ')', ' ', '') -%}
    case when {{ plain }} like '%_@_%._%' then {{ plain }} end
{%- endmacro %}
