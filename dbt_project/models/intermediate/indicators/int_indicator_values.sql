-- The wide indicators as rows: customer x indicator x as-of date; numbers in raw_value, names in raw_level. Only
-- indicators that adjust RFM under the rules of a computed night: nothing else is read from here.
with indicators as (

    select * from {{ ref('int_customer_indicators') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

named as (

    select distinct
        rules_version,
        indicator
    from {{ source('rules', 'rfm_adjustments') }}

),

used as (

    select
        as_of_dates.as_of_date,
        named.indicator
    from as_of_dates
    inner join named
        on as_of_dates.rules_version = named.rules_version

)

{% for indicator in indicators('number') -%}
select
    indicators.customer_id,
    indicators.as_of_date,
    used.indicator,
    cast(indicators.{{ indicator }} as decimal(24, 6)) as raw_value,
    cast(null as varchar) as raw_level
from indicators
inner join used
    on indicators.as_of_date = used.as_of_date
where used.indicator = '{{ indicator }}'
union all
{% endfor %}
{% for indicator in indicators('level') -%}
select
    indicators.customer_id,
    indicators.as_of_date,
    used.indicator,
    cast(null as decimal(24, 6)) as raw_value,
    indicators.{{ indicator }} as raw_level
from indicators
inner join used
    on indicators.as_of_date = used.as_of_date
where used.indicator = '{{ indicator }}'
{% if not loop.last %}union all{% endif %}
{% endfor %}
