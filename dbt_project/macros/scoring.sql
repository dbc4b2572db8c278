{#- Ratio to 6 decimals; an engine's own decimal division is a double, and exactly 10 % fell below 0.10. -#}
{% macro ratio(numerator, denominator) -%}
    cast(
        round(cast({{ numerator }} as double) / nullif(cast({{ denominator }} as double), 0), 6)
        as decimal(18, 6)
    )
{%- endmacro %}

{#- Whether a value lies in a band; a band without a bound is open on that side. -#}
{% macro in_band(value, band) -%}
    (
        {{ band }}.lower_bound is null
        or {{ value }} > {{ band }}.lower_bound
        or ({{ band }}.lower_included and {{ value }} = {{ band }}.lower_bound)
    )
    and (
        {{ band }}.upper_bound is null
        or {{ value }} < {{ band }}.upper_bound
        or ({{ band }}.upper_included and {{ value }} = {{ band }}.upper_bound)
    )
{%- endmacro %}

{#- Texts of a group side by side, in the order of another column: `high/important/loyal`. -#}
{% macro join_texts(column, ordered_by) -%}
    {{ return(adapter.dispatch('join_texts', 'customer_tiering')(column, ordered_by)) }}
{%- endmacro %}

{% macro default__join_texts(column, ordered_by) -%}
    string_agg({{ column }}, '/' order by {{ ordered_by }})
{%- endmacro %}

{#- The query of a part of the schemes in force (rules/compile.py), written into the warehouse with the nights to
    compute: other rules need no new parse. The relations it reads are given by name. -#}
{% macro compiled(part) -%}
    {%- set statements = source('rules', 'compiled') -%}
    {%- if execute and load_relation(statements) -%}
        {%- set found = run_query("select statement from " ~ statements ~ " where part = '" ~ part ~ "'") -%}
        {%- set query = namespace(text=found.columns[0].values()[0]) -%}
        {%- for name, relation in kwargs.items() -%}
            {%- set query.text = query.text.replace('{' ~ name ~ '}', relation | string) -%}
        {%- endfor -%}
        {{ query.text }}
    {%- else -%}
        select {{ "'" ~ part ~ "'" }} as not_compiled
    {%- endif -%}
{%- endmacro %}
