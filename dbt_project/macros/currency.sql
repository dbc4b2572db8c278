{#- An amount at a rate, rounded to cents; decimals throughout, wide enough that no product is refused. -#}
{% macro in_reporting_currency(amount, rate) -%}
    cast(round(cast({{ amount }} as decimal(20, 2)) * cast({{ rate }} as decimal(18, 8)), 2) as decimal(18, 2))
{%- endmacro %}
