-- Rates to the reporting currency, each from its day until the day before the next one, by the rules of the newest
-- night: a corrected rate corrects the past, too.
with rates as (

    select * from {{ source('rules', 'exchange_rates') }}

),

in_force as (

    select * from {{ ref('int_rules_in_force') }}

)

select
    rates.currency,
    rates.valid_from,
    lead(rates.valid_from) over (partition by rates.currency order by rates.valid_from) as next_valid_from,
    rates.rate
from rates
inner join in_force
    on rates.rules_version = in_force.rules_version
