{#- Whole days from one date to another. -#}
{% macro days_between(earlier, later) -%}
    {{ return(adapter.dispatch('days_between', 'customer_tiering')(earlier, later)) }}
{%- endmacro %}

{% macro default__days_between(earlier, later) -%}
    date_diff('day', {{ earlier }}, {{ later }})
{%- endmacro %}

{% macro spark__days_between(earlier, later) -%}
    datediff({{ later }}, {{ earlier }})
{%- endmacro %}

{#- Hours from one timestamp to another, 2 decimals. -#}
{% macro hours_between(earlier, later) -%}
    {{ return(adapter.dispatch('hours_between', 'customer_tiering')(earlier, later)) }}
{%- endmacro %}

{% macro default__hours_between(earlier, later) -%}
    cast(date_diff('second', {{ earlier }}, {{ later }}) / 3600.0 as decimal(18, 2))
{%- endmacro %}

{% macro spark__hours_between(earlier, later) -%}
    cast((unix_timestamp({{ later }}) - unix_timestamp({{ earlier }})) / 3600.0 as decimal(18, 2))
{%- endmacro %}

{#- Years completed by anniversary: 2020-03-31 to 2025-03-30 is 4, to 2025-03-31 is 5. -#}
{% macro completed_years(earlier, later) -%}
    (
        extract(year from {{ later }}) - extract(year from {{ earlier }})
        - case
            when
                extract(month from {{ later }}) * 100 + extract(day from {{ later }})
                < extract(month from {{ earlier }}) * 100 + extract(day from {{ earlier }})
                then 1
            else 0
        end
    )
{%- endmacro %}

{#- The date so many months before another one. -#}
{% macro months_before(day, months) -%}
    {{ return(adapter.dispatch('months_before', 'customer_tiering')(day, months)) }}
{%- endmacro %}

{% macro default__months_before(day, months) -%}
    cast({{ day }} - interval {{ months }} month as date)
{%- endmacro %}

{% macro spark__months_before(day, months) -%}
    add_months({{ day }}, -{{ months }})
{%- endmacro %}
