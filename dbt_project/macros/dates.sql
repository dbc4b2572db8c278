{#- Whole days from one date to another. -#}
{% macro days_between(earlier, later) -%}
    {{ return(adapter.dispatch('days_between', 'customer_tiering')(earlier, later)) }}
{%- endmacro %}

{% macro default__days_between(earlier, later) -%}
    date_diff('day', {{ earlier }}, {{ later }})
{%- endmacro %}

{#- Hours from one timestamp to another, 2 decimals. -#}
{% macro hours_between(earlier, later) -%}
    {{ return(adapter.dispatch('hours_between', 'customer_tiering')(earlier, later)) }}
{%- endmacro %}

{% macro default__hours_between(earlier, later) -%}
    cast(date_diff('second', {{ earlier }}, {{ later }}) / 3600.0 as decimal(18, 2))
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

{#- The date so many months before another one; the number may be a column. -#}
{% macro months_before(day, months) -%}
    {{ return(adapter.dispatch('months_before', 'customer_tiering')(day, months)) }}
{%- endmacro %}

{% macro default__months_before(day, months) -%}
    cast({{ day }} - to_months(cast({{ months }} as integer)) as date)
{%- endmacro %}

{#- The day after. -#}
{% macro day_after(day) -%}
    {{ return(adapter.dispatch('day_after', 'customer_tiering')(day)) }}
{%- endmacro %}

{% macro default__day_after(day) -%}
    cast({{ day }} + interval 1 day as date)
{%- endmacro %}

{#- Whether a day ends a review period: none | nightly | monthly | quarterly | half_yearly | yearly. -#}
{% macro is_review_day(day, review) -%}
    case
        when {{ review }} = 'nightly' then true
        when extract(day from {{ customer_tiering.day_after(day) }}) > 1 then false
        when {{ review }} = 'monthly' then true
        when {{ review }} = 'quarterly' then extract(month from {{ day }}) in (3, 6, 9, 12)
        when {{ review }} = 'half_yearly' then extract(month from {{ day }}) in (6, 12)
        when {{ review }} = 'yearly' then extract(month from {{ day }}) = 12
        else false
    end
{%- endmacro %}
