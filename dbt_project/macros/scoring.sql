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

{#- First and last value inside a band, for values of 6 decimals: beyond an edge that is not included lies the next
    millionth, and a side without a bound ends where decimal(24, 6) does. Unlike `in_band` they are compared without
    OR, so an outer join on them stays a hash join. -#}
{% macro first_in_band() -%}
    cast(
        coalesce(
            case when lower_included then lower_bound else lower_bound + 0.000001 end,
            -999999999999999999.999999
        ) as decimal(24, 6)
    )
{%- endmacro %}

{% macro last_in_band() -%}
    cast(
        coalesce(
            case when upper_included then upper_bound else upper_bound - 0.000001 end,
            999999999999999999.999999
        ) as decimal(24, 6)
    )
{%- endmacro %}

{#- Texts of a group side by side, in the order of another column: `high/important/loyal`. -#}
{% macro join_texts(column, ordered_by) -%}
    {{ return(adapter.dispatch('join_texts', 'customer_tiering')(column, ordered_by)) }}
{%- endmacro %}

{% macro default__join_texts(column, ordered_by) -%}
    string_agg({{ column }}, '/' order by {{ ordered_by }})
{%- endmacro %}
