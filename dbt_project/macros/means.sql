{#- Mean from a total and a count, 6 decimals; null where nothing was counted. Wide enough for money. -#}
{% macro mean_of(total, counted) -%}
    cast(round(cast({{ total }} as double) / nullif(cast({{ counted }} as double), 0), 6) as decimal(24, 6))
{%- endmacro %}

{#- Middle value of a group, the mean of the two middle ones when their number is even; null without a value. -#}
{% macro median_of(column) -%}
    {{ return(adapter.dispatch('median_of', 'customer_tiering')(column)) }}
{%- endmacro %}

{% macro default__median_of(column) -%}
    cast(
        percentile_cont(0.5) within group (order by cast({{ column }} as decimal(24, 6))) as decimal(24, 6)
    )
{%- endmacro %}
